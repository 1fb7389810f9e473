"""Any number of replicas at once, in any order of their calls: one CA, and never a leaf that is not verified."""

from __future__ import annotations

from datetime import timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.tls.cluster import SECRET, Cluster, drive
from webhook.kube.errors import AlreadyExists, ClusterError, Conflict
from webhook.tls.managed import ManagedCertificate

ORDERS = st.lists(st.integers(0, 7), min_size=1, max_size=40)
EVENTS = ("wait", "minutes", "days", "delete", "spoil", "join", "leave")
"""`days` are fewer than the last third of a leaf's life: somebody looks before it ends."""


class World:
    """Replicas, and an order in which their calls get their turns."""

    def __init__(self, order: list[int]) -> None:
        self.cluster = Cluster()
        self.cluster.install()
        self.replicas: list[ManagedCertificate] = []
        self._order = order
        self._turn = 0

    def choose(self, many: int) -> int:
        """Say who goes on."""
        self._turn += 1
        return self._order[self._turn % len(self._order)] % many

    def all_look(self) -> list[object]:
        """Let all look at once."""
        looks = (replica.look() for replica in self.replicas)
        return drive(*looks, choose=self.choose, seen=self.nobody_serves_what_is_refused)

    def nobody_serves_what_is_refused(self) -> None:
        """Check the promise, after every single call."""
        for replica in self.replicas:
            if "obtained" not in str(replica.missing()):
                assert self.cluster.accepts(replica.live.bundle)

    def happen(self, event: str) -> None:
        """Change the world."""
        if event == "minutes":
            self.cluster.now += timedelta(minutes=6)
        elif event == "days":
            self.cluster.now += timedelta(days=2.2)
        elif event == "delete":
            self.cluster.objects.pop(SECRET, None)
        elif event == "spoil" and SECRET in self.cluster.objects:
            self.cluster.put(SECRET, self.cluster.objects[SECRET] | {"data": {"tls.crt": "bm8=", "tls.key": "bm8="}})
        elif event == "join":
            self.replicas.append(self.cluster.replica())
        elif event == "leave" and len(self.replicas) > 1:
            self.replicas.pop(0)

    def served(self) -> set[bytes]:
        """Give the certificates in use."""
        return {replica.live.bundle.content.certificate for replica in self.replicas}


@given(ORDERS, st.integers(2, 5))
@settings(max_examples=40, deadline=None)
def test_replicas_that_start_at_once_end_with_one_ca(order: list[int], many: int) -> None:
    """Whoever creates the Secret first decides; the others read it."""
    world = World(order)
    world.replicas += [world.cluster.replica() for _ in range(many)]
    drive(*(replica.start() for replica in world.replicas), choose=world.choose)
    world.nobody_serves_what_is_refused()

    created = [call for call in world.cluster.calls if call == ("update", SECRET)]
    assert (1, 1, []) == (len(world.cluster.state.authorities), len(world.served()), created)
    assert {world.cluster.state.bundle} == set(world.cluster.bundles())


@given(ORDERS, st.lists(st.sampled_from(EVENTS), max_size=12))
@settings(max_examples=50, deadline=None)
def test_whatever_happens_nobody_serves_what_is_refused(order: list[int], events: list[str]) -> None:
    """After every single call of every replica, and at the end all are of one mind."""
    world = World(order)
    world.happen("join")
    world.happen("join")
    for event in ("wait", *events):
        world.happen(event)
        for error in world.all_look():
            assert error is None or isinstance(error, Conflict | AlreadyExists)
    for replica in world.replicas * 2:
        drive(replica.look())

    assert 1 == len(world.served())
    assert {world.cluster.state.bundle} == set(world.cluster.bundles())


def test_months_of_rotations_without_a_refused_leaf() -> None:
    """Some lives of a CA and every renewal between; each call is followed by the check."""
    world = World([0, 1, 2, 1, 0, 0, 2])
    world.replicas += [world.cluster.replica() for _ in range(3)]
    authorities, leaves = set(), set()
    end = world.cluster.now + timedelta(days=150)
    while world.cluster.now < end:
        assert not any(isinstance(error, ClusterError) for error in world.all_look())
        leaves |= world.served()
        authorities.add(world.cluster.state.signing.pem)
        world.cluster.now += timedelta(days=1)

    assert 4 == len(authorities)
    assert 30 <= len(leaves) <= 36
