"""What clients hold after anything that may happen is what there is."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.builders import catalog, port, service
from tests.core.test_endpoints import KEYS, SLICES, endpoint, slice_of
from tests.xds.simulators import POISON, DeltaSimulator, Hub, Shelf, Simulator, SotwSimulator
from webhook.xds.endpoint_source import EndpointSource
from webhook.xds.identity import Identity
from webhook.xds.limits import Limits
from webhook.xds.source import CDS, EDS, LDS, ORDER, RDS, WHOLE

SMALL = Limits(response_bytes=60)
"""Room for one or two resources in a response."""
CLIENTS = 2
NAMES = ["a", "b", "c"]
WHO = st.integers(0, 3)


def habits(who: st.SearchStrategy[int]) -> st.SearchStrategy[tuple[str, int, Any]]:
    """Give what clients do of themselves."""
    kinds = ["silent", "silent", "pump", "pump", "pump", "pump", "pump", "reconnect"]  # which would mend everything
    return st.tuples(st.sampled_from(kinds), who, st.booleans())


def do(kind: str, simulator: Simulator, more: Any) -> None:
    """Have a client do something that is its own affair."""
    match kind:
        case "silent":
            simulator.silent = more
        case "reconnect":
            simulator.reconnect()
        case "pump":
            simulator.pump()


def settle(simulators: list[Simulator]) -> None:
    """Let everybody answer."""
    for simulator in simulators:
        simulator.silent = False
        simulator.pump()


CHANGES = st.tuples(
    st.just("change"),
    st.tuples(st.sampled_from(ORDER), st.sampled_from(NAMES)),
    st.sampled_from(["1", "2", "3", "poison-1", "poison-2", None]),
)
TWO = st.integers(0, CLIENTS - 1)
WISHES = st.tuples(
    st.sampled_from(["subscribe", "unsubscribe"]),
    TWO,
    st.tuples(st.sampled_from(ORDER), st.lists(st.sampled_from(NAMES), min_size=1, max_size=3)),
)


@given(st.lists(st.one_of(CHANGES, CHANGES, WISHES, habits(TWO)), min_size=30, max_size=80))
@settings(max_examples=120, deadline=None)
def test_all_types_all_clients(events: list[tuple[str, Any, Any]]) -> None:
    """Whoever is silent, refuses or comes back: in the end each holds what it wants and what it would take."""
    shelves = {type_url: Shelf() for type_url in ORDER}
    hub = Hub(shelves, SMALL)
    simulators: list[Simulator] = [(SotwSimulator, DeltaSimulator)[number % 2](hub) for number in range(CLIENTS)]
    for kind, subject, more in events:
        if kind == "change":
            type_url, name = subject
            shelves[type_url].put(name, more)
            hub.changed(type_url, [name])
        elif kind in ("subscribe", "unsubscribe"):
            getattr(simulators[subject], kind)(more[0], *more[1])
        else:
            do(kind, simulators[subject], more)
    settle(simulators)

    for simulator in simulators:
        for type_url, names in simulator.wanted.items():
            there = {name: each.body for name, each in shelves[type_url].there.items() if name in names}
            check(simulator, type_url, there)
    assert all(refused.reason == "poison is refused" for _, refused in hub.refused)
    quiet = [simulator.responses for simulator in simulators]
    settle(simulators)
    assert quiet == [simulator.responses for simulator in simulators]


def check(simulator: Simulator, type_url: str, there: dict[str, bytes]) -> None:
    """Hold what a client has against what there is; of what it refused it has at most something older."""
    held = simulator.held.get(type_url, {})
    good = {name: body for name, body in there.items() if POISON not in body}
    whole = isinstance(simulator, SotwSimulator) and type_url in WHOLE
    assert not any(POISON in body for body in held.values())
    if whole and good != there:
        return  # the whole set was refused
    assert {name: held.get(name) for name in good} == good
    if whole or isinstance(simulator, DeltaSimulator):
        assert held.keys() <= there.keys()


def test_every_type_is_in_the_order() -> None:
    """Else it would never be sent."""
    assert sorted(ORDER) == sorted([LDS, RDS, CDS, EDS])


SERVICES = [
    service("orders", port(50051, "grpc"), port(8080)),
    service("stock", port(50051, "grpc"), trafficDistribution="PreferClose"),
    service("stock", port(50051, "grpc"), annotations={"evenkeel.dev/export-to": "front"}),
    service("orders", port(50052, "grpc")),
]
RESOURCES = ["orders.shop:50051", "orders.shop:8080", "orders.shop:50052", "stock.shop:50051", "absent.shop:1"]
IDENTITIES = [Identity("shop", "one"), Identity("front", "two"), Identity("shop", "three", "n", "a"), Identity("other")]
PLAIN = st.builds(
    lambda addresses, of: slice_of(*map(endpoint, sorted(addresses)), of=of),
    st.sets(st.sampled_from(["10.0.0.1", "10.0.0.2", "10.0.0.3"]), min_size=1),
    st.sampled_from(["orders", "stock"]),
)
SLICE_EVENTS = st.tuples(st.just("slice"), KEYS, st.one_of(PLAIN, PLAIN, SLICES, st.none()))
CATALOGS = st.tuples(st.just("catalog"), st.sets(st.integers(0, len(SERVICES) - 1), max_size=2), st.booleans())
ASKS = st.tuples(st.sampled_from(["subscribe", "unsubscribe"]), WHO, st.sets(st.sampled_from(RESOURCES), max_size=3))


@given(st.lists(st.one_of(SLICE_EVENTS, SLICE_EVENTS, CATALOGS, ASKS, habits(WHO)), min_size=15, max_size=50))
@settings(max_examples=150, deadline=None)
def test_endpoints_reach_everybody_as_a_fresh_start_would_tell_them(events: list[tuple[str, Any, Any]]) -> None:
    """After any sequence of EndpointSlices, Services and what clients do."""
    slices, services = dict[int, Any](), SERVICES[:2]
    source = EndpointSource(catalog(*services))
    hub = Hub({EDS: source})
    simulators: list[Simulator] = [
        (SotwSimulator, DeltaSimulator)[number % 2](hub, identity) for number, identity in enumerate(IDENTITIES)
    ]
    for simulator in simulators:
        simulator.subscribe(EDS, *RESOURCES)
    for kind, subject, more in events:
        if kind == "slice":
            slices[subject] = more
            hub.changed(EDS, source.put_slice(subject, more))
        elif kind == "catalog":
            services = [SERVICES[number] for number in sorted(subject)]
            hub.changed(EDS, source.put_catalog(catalog(*services)))
        elif kind in ("subscribe", "unsubscribe"):
            getattr(simulators[subject], kind)(EDS, *more)
        else:
            do(kind, simulators[subject], more)
    settle(simulators)

    fresh = EndpointSource(catalog(*services))
    for key, document in sorted(slices.items(), reverse=True):
        fresh.put_slice(key, document)
    for simulator in simulators:
        wanted = simulator.wanted.get(EDS, set())
        told = {name: fresh.get(simulator.identity, name).body for name in wanted}
        assert simulator.held.get(EDS, {}) == told
    assert hub.refused == []
