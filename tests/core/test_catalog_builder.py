"""A catalog that is built up change by change is the one that is built anew."""

from __future__ import annotations

from collections import Counter
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tests.builders import catalog, endpoint_slice, namespace, port, service
from tests.core import strategies
from webhook.core import names
from webhook.core.catalog import Catalog, CatalogBuilder, build_catalog
from webhook.core.model import ServiceRef

Json = dict[str, Any]
PLACES = ("shop", "store", "svc")


class Cluster:
    """Objects that come and go, and the builder that is told of it."""

    def __init__(self) -> None:
        self.objects: dict[tuple[str, str, str], Json] = {}
        self.builder = CatalogBuilder(lambda ref: self.objects.get(("Service", *ref)))

    def put(self, obj: Json) -> None:
        """Create or change an object."""
        self.objects[self._key(obj)] = obj
        self._tell(obj, obj)

    def remove(self, obj: Json) -> None:
        """Delete an object, if it is there."""
        self.objects.pop(self._key(obj), None)
        self._tell(obj, None)

    def fresh(self) -> Catalog:
        """Build a catalog of the objects that there are."""
        return build_catalog(self.objects.values())

    def _key(self, obj: Json) -> tuple[str, str, str]:
        return obj["kind"], obj["metadata"].get("namespace", ""), obj["metadata"]["name"]

    def _tell(self, obj: Json, now: Json | None) -> None:
        kind, where, name = self._key(obj)
        if kind == "Service":
            self.builder.service(ServiceRef(where, name))
        elif kind == "Namespace":
            self.builder.namespace(name, now)
        else:
            self.builder.slice((where, name), now)


def everything(known: Catalog) -> Any:
    """Give all that can be asked of a catalog."""
    return (
        known.version,
        dict(known.services),
        dict(known.namespaces),
        Counter(known.problems),
        known.upstream_count,
        [(known.own(place), known.exported(place), known.namespace(place)) for place in PLACES],
    )


@st.composite
def objects(draw: st.DrawFn) -> Json:
    """Give an object, one of few by name, so that changes meet."""
    namespaces = st.builds(
        namespace,
        st.sampled_from(PLACES),
        labels=st.dictionaries(st.sampled_from([names.INJECT, names.ENFORCE, "x"]), st.sampled_from(["enabled", "y"])),
    )
    obj = draw(strategies.services() | strategies.slices() | namespaces)
    if obj["kind"] != "Namespace":
        obj["metadata"] |= {"name": draw(st.sampled_from("ab")), "namespace": draw(st.sampled_from(PLACES))}
    if obj["kind"] == "EndpointSlice":
        obj["metadata"]["labels"] = draw(st.sampled_from([{names.SLICE_SERVICE: "a"}, {names.SLICE_SERVICE: "b"}, {}]))
    return obj


STEPS = st.lists(objects() | st.sampled_from(["remove", "remove all", "build", "read"]), max_size=30)


@given(STEPS, st.randoms(use_true_random=False))
def test_any_order_of_changes_ends_in_the_same_catalog(steps: list[Any], chance: Any) -> None:
    """Whenever it is asked for; and what is said to have changed is just that."""
    cluster = Cluster()
    before, _, _ = cluster.builder.build()
    for step in [*steps, "build", "remove all", "build"]:
        there = list(cluster.objects.values())
        if step == "build":
            after, services, namespaces = cluster.builder.build()
            assert everything(after) == everything(cluster.fresh())
            assert services == _differences(before.services, after.services)
            assert namespaces >= _differences(before.namespaces, after.namespaces)
            assert (after is before) == (not services and not namespaces and after.problems == before.problems)
            before = after
        elif step == "read":
            cluster.builder.read(1)
        elif isinstance(step, str):
            for obj in there if step == "remove all" else chance.sample(there, min(1, len(there))):
                cluster.remove(obj)
        else:
            cluster.put(step)


def _differences(before: Any, after: Any) -> set[Any]:
    return {key for key in {*before, *after} if before.get(key) != after.get(key)}


def test_a_thousand_changes_at_once_and_then_one() -> None:
    """Many are sorted in, few are put in their places; what is not touched is shared."""
    cluster = Cluster()
    exported = {names.EXPORT_TO: "*,store"}
    for number in range(100):
        cluster.put(service(f"s{number}", annotations=exported))
        cluster.put(service(f"s{number}", namespace="svc"))
    first, _, _ = cluster.builder.build()

    assert everything(first) == everything(cluster.fresh())

    cluster.put(service("s50", port(1, "grpc"), annotations=exported))
    cluster.remove(service("s51"))
    second, changed, _ = cluster.builder.build()

    assert everything(second) == everything(cluster.fresh())
    assert changed == {ServiceRef("shop", "s50"), ServiceRef("shop", "s51")}
    assert second.own("svc") is first.own("svc")
    assert second.namespaces is first.namespaces
    assert len(first.own("shop")) == 100


def test_reading_bit_by_bit() -> None:
    """It says whether something is left, and reads a Service that changes meanwhile as it is then."""
    cluster = Cluster()
    for name in "abc":
        cluster.put(service(name))

    assert cluster.builder.read(2)
    cluster.put(service("c", port(7, "grpc")))
    assert not cluster.builder.read(2)

    built, _, _ = cluster.builder.build()
    assert [upstream.port for upstream in built.own("shop")[2].upstreams] == [7]


def test_what_becomes_what_it_was_has_not_changed() -> None:
    """Nobody needs to hear of it."""
    cluster = Cluster()
    cluster.put(service("a"))
    before, _, _ = cluster.builder.build()
    cluster.put(service("a", port(1, "grpc")))
    cluster.builder.read(1)
    cluster.put(service("a"))

    assert cluster.builder.build() == (before, frozenset(), frozenset())


def test_a_slice_changes_its_service_only() -> None:
    """A named port has its number from now on; slices that say the same again change nothing."""
    cluster = Cluster()
    cluster.put(service("a", port(50051, "grpc", targetPort="api")))
    cluster.put(service("b"))
    before, _, _ = cluster.builder.build()
    cluster.put(endpoint_slice("a", {"name": "grpc", "port": 9}))
    after, changed, _ = cluster.builder.build()
    cluster.put(endpoint_slice("a", {"name": "grpc", "port": 9}))

    assert [problem.code for problem in before.problems] == ["target-port-unknown"]
    assert changed == {ServiceRef("shop", "a")}
    assert after.problems == ()
    assert not cluster.builder.read(0)


def test_only_a_problem_changes() -> None:
    """The catalog is another, though no Service is."""
    cluster = Cluster()
    cluster.put(service("a"))
    before, _, _ = cluster.builder.build()
    cluster.put(service("a", annotations={names.RETRY: "often"}))
    after, services, _ = cluster.builder.build()

    assert (services, len(before.problems), len(after.problems)) == (frozenset(), 0, 1)
    assert after.services is before.services
    assert after.version == before.version


def test_exports_of_an_own_name_are_not_others() -> None:
    """What is exported to everybody is told to all but its own namespace."""
    known = catalog(*(service("a", namespace=place, annotations={names.EXPORT_TO: "*"}) for place in PLACES))

    assert [[str(one.ref) for one in known.exported(place)] for place in (*PLACES, "other")] == [
        ["a.store", "a.svc"],
        ["a.shop", "a.svc"],
        ["a.shop", "a.store"],
        ["a.shop", "a.store", "a.svc"],
    ]
