"""Whatever happens, in the end every Pod carries what it should, and nothing was written for nothing."""

from __future__ import annotations

import asyncio
import contextlib
import random
from functools import cache
from itertools import pairwise
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from tests import builders
from tests.reconcile.kit import INJECTOR, Cluster, carried, jitter, live_document, wanted
from tests.reconcile.virtual import run
from webhook.core import names
from webhook.core.catalog import Catalog
from webhook.kube.errors import Conflict, Forbidden, Unreachable
from webhook.kube.pace import Pace
from webhook.reconcile.keep import PodKey
from webhook.reconcile.metrics import ReconcilerMetrics
from webhook.reconcile.run import Reconciler
from webhook.settings import ReconcileSettings

NAMESPACES = ("shop", "bank", "mail")
RATE = 200.0


class Signed:
    """The cluster as one replica calls it; who patches is written down."""

    def __init__(self, cluster: Cluster, name: str, writers: list[str]) -> None:
        self._cluster = cluster
        self._name = name
        self._writers = writers

    def __getattr__(self, name: str) -> Any:
        """Call the cluster."""
        if name == "patch":
            self._writers.append(self._name)
        return getattr(self._cluster, name)


class World:
    """A cluster, replicas of the reconciler, and chance."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)  # noqa: S311
        self.cluster = Cluster()
        self.cluster.delay = jitter(self.chance, 0.05)
        self.registry = CollectorRegistry()
        self.services: dict[tuple[str, str], Any] = {}
        self.catalog = builders.catalog()
        self.replicas: list[Reconciler] = []
        self.writers: list[str] = []
        self._uids = 0

    def replica(self, name: str, registry: CollectorRegistry | None = None) -> Reconciler:
        """Make one more replica that hears of every catalog."""
        made = Reconciler(
            Signed(self.cluster, name, self.writers),
            INJECTOR,
            ReconcileSettings(patches_per_second=RATE),
            ReconcilerMetrics(registry or CollectorRegistry()),
            namespace="evenkeel-system",
            pace=Pace(clock=asyncio.get_running_loop().time, dice=self.chance.random),
            identity=name,
            chance=self.chance,
        )
        made.publish(self.catalog)
        self.replicas.append(made)
        return made

    def new_pod(self) -> None:
        """Create a Pod, often of a name that was there before; its webhook may not have heard of all Services."""
        self._uids += 1
        name, namespace = f"pod-{self.chance.randrange(8)}", self.chance.choice(NAMESPACES)
        seen: Catalog = self.chance.choice((self.catalog, builders.catalog()))
        self.cluster.add(live_document(name, catalog=seen, uid=f"uid-{self._uids}", namespace=namespace))

    def some_pod(self) -> PodKey | None:
        """Choose a Pod."""
        return self.chance.choice(sorted(self.cluster.pods)) if self.cluster.pods else None

    def event(self) -> None:
        """Let something happen."""
        kind = self.chance.choice(("pod", "delete", "touch", "label", "service", "service", "export", "compact"))
        key = self.some_pod()
        if kind == "pod" or key is None:
            self.new_pod()
        elif kind == "delete":
            self.cluster.remove(key)
        elif kind == "touch":
            self.cluster.change(key, lambda pod: pod["status"].update(phase="Running", at=self.chance.random()))
        elif kind == "label":
            self.cluster.change(
                key, lambda pod: pod["metadata"]["labels"].update(app=f"app-{self.chance.randrange(3)}")
            )
        elif kind == "compact":
            self.cluster.forget_history()
        else:
            self.change_services(export=kind == "export")

    def change_services(self, *, export: bool) -> None:
        """Create, change or delete a Service, and tell every replica."""
        namespace, name = self.chance.choice(NAMESPACES), f"app-{self.chance.randrange(3)}"
        to = self.chance.choice(("*", *NAMESPACES))
        if (namespace, name) in self.services and self.chance.random() < 0.3:
            del self.services[namespace, name]
        else:
            port = builders.port(50000 + self.chance.randrange(100), "grpc")
            annotations = {names.EXPORT_TO: to} if export else {}
            made = builders.service(name, port, namespace=namespace, annotations=annotations)
            self.services[namespace, name] = made
        self.catalog = builders.catalog(*self.services.values())
        for replica in self.replicas:
            replica.publish(self.catalog)

    def fault(self, key: PodKey) -> Exception | None:
        """Fail now and then, in each of the ways there are."""
        errors = (
            Conflict("PATCH", str(key), "the object has been modified"),
            Unreachable("PATCH", str(key), "too many requests", status=429, retry_after=2.0),
            Unreachable("PATCH", str(key), "no connection"),
            Unreachable("PATCH", str(key), "internal error", status=500),
            Forbidden("PATCH", str(key), "a policy says no", status=403),
        )
        return self.chance.choice(errors) if self.chance.random() < 0.2 else None

    def watch_fault(self) -> Exception | None:
        """Cut a watch now and then."""
        return Unreachable("GET", "pods", "connection reset") if self.chance.random() < 0.02 else None

    def out_of_date(self) -> list[PodKey]:
        """Give the Pods that carry something else than they should."""
        return [
            key for key, document in self.cluster.pods.items() if carried(document) != wanted(document, self.catalog)
        ]


@contextlib.asynccontextmanager
async def running(*replicas: Reconciler) -> Any:
    """Run replicas, and end them as a signal would."""
    tasks = [asyncio.create_task(replica.run()) for replica in replicas]
    try:
        yield tasks
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def simulate(seed: int, *, handover: bool) -> World:
    """Let a hundred things happen to a faulty cluster with two replicas, then let it calm down."""
    world = World(seed)
    for _ in range(10):
        world.new_pod()
    async with running(world.replica("a", world.registry), world.replica("b")) as tasks:
        world.cluster.fault, world.cluster.watch_ends = world.fault, world.watch_fault
        for number in range(100):
            await asyncio.sleep(world.chance.random())
            world.event()
            if handover and number == 60:
                leader = next(each for each in zip(world.replicas, tasks, strict=True) if each[0].election.leads_for())
                leader[1].cancel()
        world.cluster.fault = lambda _key: None
        await asyncio.sleep(1300)
    return world


@cache
def simulated(seed: int) -> World:
    """Give how it went; in every other the leader goes away in between."""
    world: World = run(simulate(seed, handover=seed % 2 == 1))
    return world


@pytest.mark.parametrize("seed", range(16))
def test_in_the_end_every_pod_carries_what_it_should(seed: int) -> None:
    """With conflicts, 404, 429, 500, lost connections, expired watches, and a leader that goes away."""
    world = simulated(seed)

    assert world.out_of_date() == []
    assert len(world.cluster.patches) > 20


@pytest.mark.parametrize("seed", range(0, 16, 2))
def test_no_pod_is_written_to_where_nothing_differs(seed: int) -> None:
    """Not even one whose event of our own patch is still on its way, or lost with a watch that was cut."""
    assert simulated(seed).cluster.needless == []


@pytest.mark.parametrize("seed", range(1, 16, 2))
def test_nobody_writes_who_does_not_lead(seed: int) -> None:
    """Two replicas, one of them ended in between: at any time at most one has written since the last handover."""
    writers = simulated(seed).writers
    handovers = sum(one != other for one, other in pairwise(writers))

    assert set(writers) == {"a", "b"}
    assert handovers == 1
