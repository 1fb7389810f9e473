"""The order of an admission, and what of its parts reaches the outcome."""

from __future__ import annotations

from typing import Any

import pytest

from tests.builders import catalog, container, injector, service, view_of_pod
from webhook.core import names
from webhook.core.errors import PodRejected
from webhook.core.model import Ports, SidecarSettings
from webhook.core.outcome import Outcome


def admit(**pod: Any) -> Outcome:
    """Admit a Pod beside one Service."""
    return injector().admit(view_of_pod(**pod), catalog(service("orders")), None)


def test_operations_in_a_pod_that_has_nothing() -> None:
    """Label and annotations one by one, so that none of the user's is touched; then the container and the volume."""
    assert [(operation["op"], operation["path"]) for operation in admit().operations] == [
        ("add", "/metadata/labels/evenkeel.dev~1injected"),
        ("add", "/metadata/annotations"),
        *(("add", f"/metadata/annotations/evenkeel.dev~1{name}") for name in
          ("bootstrap", "clusters", "routes", "listeners", "status")),
        ("add", "/spec/initContainers"),
        ("add", "/spec/initContainers/0"),
        ("add", "/spec/volumes"),
        ("add", "/spec/volumes/0"),
    ]  # fmt: skip


def test_operations_do_not_grow_with_the_pod() -> None:
    """A Pod with 2,000 variables gets the same patch as one with none."""
    env = [{"name": f"V{number}", "value": "x"} for number in range(2000)]

    assert admit(containers=[container(env=env)]).operations == admit().operations


def test_all_problems_of_all_parts_are_told_at_once() -> None:
    """Annotations, resources, names and ports."""
    with pytest.raises(PodRejected) as rejected:
        admit(
            annotations={
                names.ACCESS_LOG: "x",
                names.PROXY_CPU_REQUEST: "2",
                names.PROXY_CPU_LIMIT: "1",
                names.APP_PORT: "15001",
            },
            volumes=[{"name": names.VOLUME}],
        )

    assert len(rejected.value.problems) == 4


@pytest.mark.parametrize("port", Ports().all())
def test_no_port_of_ours_is_the_app_s(port: int) -> None:
    """The ingress would call itself."""
    with pytest.raises(PodRejected, match="is a port of the sidecar itself"):
        admit(annotations={names.APP_PORT: str(port)})


@pytest.mark.parametrize(
    ("pod", "heard"),
    [
        ({"hostNetwork": True}, True),
        ({"os": {"name": "windows"}}, True),
        ({"labels": {"istio.io/rev": "x"}}, True),
        ({"containers": [container(ports=[{"containerPort": 9001}])]}, True),
        ({"labels": {names.INJECT: "disabled"}}, False),
        ({"namespace": "kube-system"}, False),
        ({"annotations": {names.MIRROR_POD: ""}}, False),
    ],
)
def test_who_asked_for_a_sidecar_and_gets_none_hears_of_it(pod: dict[str, Any], heard: bool) -> None:
    """The others need no warning."""
    outcome = admit(**pod)

    assert outcome.skip is not None
    assert (outcome.operations, outcome.injected) == ((), False)
    assert outcome.warnings == ((f"no sidecar ({outcome.skip.reason}): {outcome.skip.detail}",) if heard else ())


def test_one_injector_serves_many_pods() -> None:
    """What one Pod asked for is not found in the next."""
    shared = injector()
    plain = shared.admit(view_of_pod(), catalog(service("orders")), None).operations

    shared.admit(view_of_pod(annotations={names.PROXY_IMAGE: "localhost/x", names.APP_PORT: "80"}), catalog(), None)

    assert shared.admit(view_of_pod(), catalog(service("orders")), None).operations == plain


def test_settings_reach_the_sidecar() -> None:
    """The operator's image, log level and workers."""
    settings = SidecarSettings(image="localhost/x", log_level="error", concurrency=7)

    outcome = injector(settings).admit(view_of_pod(), catalog(), None)

    assert outcome.sidecar is not None
    assert outcome.sidecar.container["image"] == "localhost/x"
    assert {"error", "7"} <= set(outcome.sidecar.container["args"])
