"""The demo's EndpointSlices, as Kubernetes would write them, and what the control plane's book makes of them."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from webhook.core.endpoints import EndpointBook
from webhook.core.model import ServiceRef
from webhook.demo.slices import EndpointSlices, slices
from webhook.node.changes import Changes
from webhook.node.zone import Endpoint

SERVICE = {
    "metadata": {"namespace": "shop", "name": "orders"},
    "spec": {"selector": {"app": "orders"}, "ports": [{"name": "grpc", "port": 80, "targetPort": "rpc"}]},
}
ORDERS = ServiceRef("shop", "orders")


class FakePod:
    """As much of a running Pod as a slice tells of."""

    def __init__(self, address: str, port: int = 50051, *, namespace: str = "shop", app: str = "orders") -> None:
        self.address = address
        self.name = f"{namespace}/{address}"
        self.document = {"metadata": {"namespace": namespace, "uid": address}}
        self.conditions = {"ContainersReady": False}
        self.deleting = False
        self.ended = False
        self._known = (namespace, {"app": app, "tier": "back"}, {"rpc": port} if port else {})
        self._changes = Changes()

    def change(self, **changes: Any) -> None:
        """Let it become ready, leave or end."""
        self.conditions = {"ContainersReady": changes.pop("serving", self.conditions["ContainersReady"])}
        vars(self).update(changes)
        self._changes.tell()

    def endpoint(self) -> Endpoint | None:
        """Give what DNS must know of it."""
        namespace, labels, ports = self._known
        return None if self.ended else Endpoint(namespace, labels, self.address, ready=False, ports=ports)

    async def wait_until(self, holds: Any, _timeout: float, _what: str) -> None:
        """Wait for a change."""
        await self._changes.until(lambda: holds(self))


def conditions(service: Any, *pods: FakePod) -> dict[str, dict[str, bool]]:
    """Give the conditions in all slices of a Service, by address."""
    found = slices(service, pods).values()
    return {each["addresses"][0]: each["conditions"] for one in found for each in one["endpoints"]}


@pytest.mark.parametrize(
    ("serving", "deleting", "expected"),
    [
        (False, False, {"ready": False, "serving": False, "terminating": False}),
        (True, False, {"ready": True, "serving": True, "terminating": False}),
        (True, True, {"ready": False, "serving": True, "terminating": True}),
        (False, True, {"ready": False, "serving": False, "terminating": True}),
    ],
)
def test_the_conditions_are_those_of_kubernetes(serving, deleting, expected):
    """A Pod that leaves is not ready however well it still serves."""
    pod = FakePod("10.0.0.1")
    pod.change(serving=serving, deleting=deleting)

    assert {"10.0.0.1": expected} == conditions(SERVICE, pod)


def test_only_pods_that_the_service_selects_are_in_its_slices():
    """Of its namespace, with its labels, and not ended."""
    ended = FakePod("10.0.0.4")
    ended.change(ended=True)
    pods = [FakePod("10.0.0.1"), FakePod("10.0.0.2", namespace="other"), FakePod("10.0.0.3", app="users"), ended]
    nothing = {**SERVICE, "spec": {**SERVICE["spec"], "selector": {}}}

    assert {"10.0.0.1"} == set(conditions(SERVICE, *pods))
    assert {} == conditions(nothing, *pods)


def test_pods_on_which_a_named_port_has_another_number_are_in_another_slice():
    """One that has no port of that name is in one without it, so that nobody calls it there."""
    pods = [FakePod("10.0.0.1", 1), FakePod("10.0.0.2", 2), FakePod("10.0.0.3", 0)]
    book = EndpointBook()
    for pod in pods:
        pod.change(serving=True)
    for key, document in slices(SERVICE, pods).items():
        book.put(key, document)

    assert {("10.0.0.1", 1), ("10.0.0.2", 2)} == {
        (each.addresses[0], each.port) for each in book.endpoints(ORDERS, "grpc")
    }


async def test_a_pod_is_followed_from_its_start_to_its_end():
    """Each change is put at once; what does not change is not put again, and what is gone is taken away."""
    pod, told = FakePod("10.0.0.1"), []
    book = EndpointBook()
    following = EndpointSlices(lambda: [pod], lambda key, document: told.append((book.put(key, document), document)))
    following.apply(SERVICE)
    following.apply({**SERVICE, "metadata": {"namespace": "shop", "name": "users"}, "spec": {"ports": []}})
    task = asyncio.create_task(following.follow(pod))
    seen = []
    for change in ({"serving": True}, {}, {"deleting": True}, {"ended": True}):
        await asyncio.sleep(0)
        pod.change(**change)
        for _ in range(5):
            await asyncio.sleep(0)
        seen.append([(each.addresses[0], each.draining) for each in book.endpoints(ORDERS, "grpc")])
    await task

    assert [[("10.0.0.1", False)], [("10.0.0.1", False)], [("10.0.0.1", True)], []] == seen
    assert [False, False, False, True] == [document is None for _, document in told]
