"""The whole reconciler against a cluster in memory, in a time of its own."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator
from typing import Any

import pytest
from prometheus_client import CollectorRegistry
from structlog.testing import capture_logs

from tests import builders
from tests.reconcile.kit import INJECTOR, NOTHING, ORDERS, Cluster, carried, live_document, sample, wanted
from tests.reconcile.virtual import run
from webhook.core.model import ServiceRef
from webhook.kube.discovery import Changed
from webhook.kube.errors import ClusterError, Forbidden, Unreachable, error_from_status
from webhook.kube.pace import Pace
from webhook.kube.resources import LEASES, PODS
from webhook.reconcile.keep import PodKey, keep_pod
from webhook.reconcile.lease import holder_of
from webhook.reconcile.metrics import ReconcilerMetrics, Result
from webhook.reconcile.plan import Rewrite
from webhook.reconcile.run import LIVE, SELECTOR, Reconciler, own_identity
from webhook.reconcile.write import concerns_all, result_of, write
from webhook.settings import ReconcileSettings

LEASE = LEASES.path("evenkeel-system", "evenkeel-reconciler")


class Scene:
    """A cluster with Pods and one reconciler."""

    def __init__(self, *documents: Any, rate: float = 20.0, cluster: Cluster | None = None, name: str = "one") -> None:
        self.cluster = cluster or Cluster()
        self.keys = [self.cluster.add(document) for document in documents]
        self.registry = CollectorRegistry()
        self.reconciler = Reconciler(
            self.cluster,
            INJECTOR,
            ReconcileSettings(patches_per_second=rate),
            ReconcilerMetrics(self.registry),
            namespace="evenkeel-system",
            pace=Pace(clock=asyncio.get_running_loop().time, dice=random.Random(2).random),  # noqa: S311
            identity=name,
            chance=random.Random(1),  # noqa: S311
        )

    @contextlib.asynccontextmanager
    async def running(self, catalog: Any = NOTHING) -> AsyncIterator[asyncio.Task[None]]:
        """Run it, and end it as a signal would."""
        self.reconciler.publish(catalog)
        task = asyncio.create_task(self.reconciler.run())
        try:
            yield task
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    def number(self, name: str, **labels: str) -> float:
        """Give a metric."""
        return sample(self.registry, f"evenkeel_reconciler_{name}", **labels)

    def true(self, catalog: Any) -> list[bool]:
        """Say of each Pod whether it carries what it should."""
        return [carried(self.cluster.pods[key]) == wanted(self.cluster.pods[key], catalog) for key in self.keys]


def many(count: int, **fields: Any) -> list[Any]:
    """Make Pods that saw no Service when they were admitted."""
    return [live_document(f"front-{number:03}", uid=f"uid-{number}", **fields) for number in range(count)]


def test_a_service_made_after_its_callers_reaches_them() -> None:
    """The Deployment was applied before the Service: no restart."""

    async def scene() -> None:
        scene = Scene(*many(3))
        async with scene.running():
            await asyncio.sleep(5)
            scene.reconciler.publish(ORDERS, Changed(services=frozenset({ServiceRef("shop", "orders")})))
            await asyncio.sleep(1)

        assert scene.true(ORDERS) == [True] * 3
        assert scene.number("patches_total", result="patched") == 3.0
        assert 0.25 <= scene.number("service_change_to_last_pod_seconds_sum") <= 0.5

    run(scene())


def test_patches_are_paced() -> None:
    """Twenty a second and a small burst, however many are out of date; which is told meanwhile."""

    async def scene() -> None:
        scene = Scene(*many(200))
        async with scene.running():
            await asyncio.sleep(5)
            scene.reconciler.publish(ORDERS)
            await asyncio.sleep(5)
            meanwhile = scene.number("pods_out_of_date")
            await asyncio.sleep(6)

        times = [time for time, _, _ in scene.cluster.patches]
        assert scene.true(ORDERS) == [True] * 200
        assert all(later - earlier > 0.9 for earlier, later in zip(times, times[25:], strict=False))
        assert 90 <= meanwhile <= 110

    run(scene())


def test_so_many_patches_are_on_their_way_at_most() -> None:
    """A slow API server is not given more and more of them."""

    async def scene() -> None:
        scene = Scene(*many(60), rate=1000.0)
        async with scene.running():
            await asyncio.sleep(5)
            scene.cluster.delay = lambda: 1.0
            scene.reconciler.publish(ORDERS)
            await asyncio.sleep(0.9)

            assert len(scene.cluster.patches) == 8

    run(scene())


def test_at_the_end_the_lease_is_given_back_after_the_last_patch() -> None:
    """A patch on its way arrives, and whoever leads next need not make it again."""

    async def scene() -> None:
        scene = Scene(*many(1))
        async with scene.running() as task:
            await asyncio.sleep(5)
            scene.cluster.delay = lambda: 0.5
            scene.reconciler.publish(ORDERS)
            await asyncio.sleep(0.6)
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

        assert scene.true(ORDERS) == [True]
        assert holder_of(scene.cluster.leases[LEASE]) == ""
        assert scene.number("leader") == 0.0

    run(scene())


def test_an_api_server_that_asks_for_a_pause_gets_it() -> None:
    """For all Pods; then it goes on."""

    async def scene() -> None:
        scene = Scene(*many(20))
        async with scene.running():
            await asyncio.sleep(5)
            busy = Unreachable("PATCH", "p", "too many requests", status=429, retry_after=30.0)
            scene.cluster.fault = lambda _key: busy
            scene.reconciler.publish(ORDERS)
            await asyncio.sleep(20)
            attempts = len(scene.cluster.patches)
            scene.cluster.fault = lambda _key: None
            await asyncio.sleep(60)

        assert attempts <= 8
        assert scene.true(ORDERS) == [True] * 20

    run(scene())


def test_a_namespace_whose_pods_cannot_be_patched_does_not_hold_up_others() -> None:
    """A policy of somebody else's forbids it, or their webhook fails; each is told once."""

    async def scene() -> None:
        scene = Scene(*many(40), *many(5, namespace="bank"))
        shared = builders.catalog(builders.service("orders"), builders.service("orders", namespace="bank"))
        errors = {
            "front-000": Unreachable("PATCH", "p", "failed calling webhook", status=500),
            "front-001": Forbidden("PATCH", "p", "ValidatingAdmissionPolicy 'x' denied request", status=403),
        }
        scene.cluster.fault = lambda key: (
            errors[f"front-00{int(key.name[-1]) % 2}"] if key.namespace == "shop" else None
        )
        async with scene.running():
            await asyncio.sleep(5)
            with capture_logs() as lines:
                scene.reconciler.publish(shared)
                await asyncio.sleep(10)
            waiting = scene.number("pods_out_of_date")

        assert scene.true(shared)[40:] == [True] * 5
        assert len([line for line in lines if line["event"] == "pod not patched"]) == 2
        assert waiting == 40.0

    run(scene())


def test_two_replicas_of_which_one_writes() -> None:
    """The other stands by, ready to take over, and says so."""

    async def scene() -> None:
        scene = Scene(*many(1))
        async with scene.running():
            await asyncio.sleep(5)
            other = Scene(cluster=scene.cluster, name="other")
            async with other.running():
                await asyncio.sleep(30)

                assert (scene.number("leader"), other.number("leader")) == (1.0, 0.0)
                assert other.reconciler.missing() is None

    run(scene())


def test_it_is_ready_when_services_and_pods_are_known() -> None:
    """And says what is missing, and why."""

    async def scene() -> None:
        scene = Scene()

        def lost(_path: str, **_params: Any) -> Any:
            raise Unreachable("GET", "/api/v1/pods", "no connection")

        first = scene.reconciler.missing()
        pages, scene.cluster.pages = scene.cluster.pages, lost
        async with scene.running():
            await asyncio.sleep(1)
            second = scene.reconciler.missing()
            scene.cluster.pages = pages
            await asyncio.sleep(60)

            assert first == "the Services are not known yet"
            assert second == "the Pods are not known yet: GET /api/v1/pods: no answer: no connection"
            assert scene.reconciler.missing() is None

    run(scene())


def test_a_part_that_dies_ends_all() -> None:
    """Whoever started it then starts it anew; the Lease is given back."""

    async def scene() -> None:
        scene = Scene(*many(1))
        scene.cluster.fault = lambda _key: RuntimeError("a bug")
        scene.reconciler.publish(ORDERS)
        with pytest.raises(ExceptionGroup):
            await scene.reconciler.run()

        assert holder_of(scene.cluster.leases[LEASE]) == ""

    run(scene())


def test_only_labelled_pods_that_live_are_asked_for() -> None:
    """One list and one watch over all namespaces, without those of others."""

    async def scene() -> None:
        scene, asked = Scene(), []
        pages = scene.cluster.pages

        def seen(path: str, **params: Any) -> Any:
            asked.append((path, params["labelSelector"], params["fieldSelector"]))
            return pages(path, **params)

        scene.cluster.pages = seen
        async with scene.running():
            await asyncio.sleep(5)

        assert asked == [(PODS.path(), SELECTOR, LIVE)]
        assert SELECTOR == "evenkeel.dev/injected=true"

    run(scene())


def test_nothing_is_sent_after_the_end_of_the_term() -> None:
    """Not even the first bytes of it."""

    async def scene() -> None:
        cluster = Cluster()
        with pytest.raises(Unreachable, match="writes no more"):
            await write(cluster, keep_pod(live_document()), Rewrite({"a": "b"}, "mark"), 0.0)
        cluster.delay = lambda: 9.0
        with pytest.raises(Unreachable, match="no answer within"):
            await write(cluster, keep_pod(live_document()), Rewrite({"a": "b"}, "mark"), 0.5)

        assert len(cluster.patches) == 1

    run(scene())


@pytest.mark.parametrize(
    ("status", "reason", "message", "expected", "everybody"),
    [
        (404, "NotFound", 'pods "x" not found', Result.GONE, False),
        (409, "Conflict", "modified", Result.CONFLICT, False),
        (422, "Invalid", 'Pod "x" is invalid: metadata.uid: field is immutable', Result.CONFLICT, False),
        (422, "Invalid", "ValidatingAdmissionPolicy 'p' denied request", Result.REFUSED, False),
        (403, "Forbidden", "no", Result.FORBIDDEN, False),
        (401, "Unauthorized", "no", Result.FORBIDDEN, False),
        (415, "", "", Result.REFUSED, False),
        (429, "", "", Result.UNREACHABLE, True),
        (500, "InternalError", "failed calling webhook", Result.UNREACHABLE, False),
        (503, "", "", Result.UNREACHABLE, True),
    ],
)
def test_what_a_failure_means(status: int, reason: str, message: str, expected: Result, everybody: bool) -> None:
    """For the Pod, and for all others."""
    error = failure(status, reason, message)

    assert (result_of(error), concerns_all(error)) == (expected, everybody)


def failure(status: int, reason: str, message: str) -> ClusterError:
    """Make the error for an API server's answer."""
    return error_from_status("PATCH", "/p", {"code": status, "reason": reason, "message": message}, status)


def test_no_two_processes_have_one_name() -> None:
    """A Pod that restarts is somebody else: its predecessor's patches may still be on their way."""
    assert own_identity() != own_identity()
    assert PodKey("shop", "front").__str__() == "shop/front"
