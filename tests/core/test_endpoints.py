"""Endpoints of all slices of a Service: merged, one a pod, and the same whatever came before."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from webhook.core.endpoints import Endpoint, EndpointBook
from webhook.core.model import ServiceRef

ORDERS = ServiceRef("shop", "orders")
REFS = (ORDERS, ServiceRef("shop", "stock"))
PORT_NAMES = ("", "grpc")

Json = dict[str, Any]


def endpoint(*addresses: str, uid: str = "", zone: str | None = None, **conditions: Any) -> Json:
    """Make an endpoint; without conditions the API's defaults count."""
    made: Json = {"addresses": list(addresses), "conditions": conditions}
    if uid:
        made["targetRef"] = {"kind": "Pod", "name": f"pod-{uid}", "uid": uid}
    return made if zone is None else {**made, "zone": zone}


def slice_of(*endpoints: Any, of: str = "orders", ports: Any = None, family: Any = "IPv4", name: str = "x7k2p") -> Json:
    """Make an EndpointSlice with a port named grpc, unless told otherwise."""
    return {
        "metadata": {
            "name": f"{of}-{name}",
            "namespace": "shop",
            "labels": {"kubernetes.io/service-name": of},
        },
        "addressType": family,
        "ports": [{"name": "grpc", "port": 50051, "protocol": "TCP"}] if ports is None else ports,
        "endpoints": list(endpoints),
    }


def book_of(*slices: Json) -> EndpointBook:
    """Make a book of slices, as a fresh list gives them."""
    book = EndpointBook()
    for number, each in enumerate(slices):
        book.put(number, each)
    return book


def addresses(book: EndpointBook, port_name: str = "grpc", ref: ServiceRef = ORDERS) -> list[tuple[str, ...]]:
    """Give the addresses of a Service's endpoints."""
    return [each.addresses for each in book.endpoints(ref, port_name)]


def test_an_endpoint_has_its_address_its_port_and_its_zone() -> None:
    """As the slice says."""
    book = book_of(slice_of(endpoint("10.0.0.7", zone="a")))

    assert book.endpoints(ORDERS, "grpc") == (Endpoint(("10.0.0.7",), 50051, "a", draining=False),)
    assert book.problems == ()


@pytest.mark.parametrize(
    ("conditions", "expected"),
    [
        ({}, False),
        ({"ready": None}, False),
        ({"ready": True}, False),
        ({"ready": True, "serving": False}, False),
        ({"ready": False}, None),
        ({"ready": False, "serving": True}, None),
        ({"ready": False, "serving": True, "terminating": True}, True),
        ({"ready": False, "serving": False, "terminating": True}, None),
        ({"ready": False, "terminating": True}, None),
        ({"ready": True, "serving": True, "terminating": True}, True),
        ({"terminating": True}, True),
        ({"ready": True, "serving": None, "terminating": False}, False),
    ],
    ids=str,
)
def test_conditions(conditions: Json, expected: bool | None) -> None:
    """Served (False), draining (True) or left out (None)."""
    found = book_of(slice_of(endpoint("10.0.0.7", **conditions))).endpoints(ORDERS, "grpc")

    assert [each.draining for each in found] == ([] if expected is None else [expected])


def test_all_slices_of_a_service_are_one() -> None:
    """Each address once, in one order."""
    book = book_of(
        slice_of(endpoint("10.0.0.9"), endpoint("10.0.0.7")),
        slice_of(endpoint("10.0.0.7"), endpoint("10.0.0.8")),
        slice_of(endpoint("10.0.0.1"), of="stock"),
    )

    assert addresses(book) == [("10.0.0.7",), ("10.0.0.8",), ("10.0.0.9",)]
    assert addresses(book, ref=REFS[1]) == [("10.0.0.1",)]


def test_a_pod_with_two_stacks_is_one_endpoint() -> None:
    """By its uid; the IPv4 address is the primary."""
    book = book_of(
        slice_of(endpoint("2001:DB8::0007", uid="p7"), family="IPv6"),
        slice_of(endpoint("10.0.0.7", uid="p7"), endpoint("10.0.0.8", uid="p8")),
    )

    assert addresses(book) == [("10.0.0.7", "2001:db8::7"), ("10.0.0.8",)]


def test_a_pod_of_one_stack_stays_two_endpoints_where_it_has_two_addresses() -> None:
    """No address is lost for a uid that two share."""
    assert addresses(book_of(slice_of(endpoint("10.0.0.7", uid="p"), endpoint("10.0.0.8", uid="p")))) == [
        ("10.0.0.7",),
        ("10.0.0.8",),
    ]


def test_a_pod_that_moves_and_ends_is_draining_in_both_slices() -> None:
    """What has begun to end does not turn back, so the older slice is wrong."""
    leaving = endpoint("10.0.0.7", uid="p7", ready=False, serving=True, terminating=True)
    book = book_of(slice_of(endpoint("10.0.0.7", uid="p7")), slice_of(leaving))

    assert [each.draining for each in book.endpoints(ORDERS, "grpc")] == [True]


def test_a_new_pod_counts_before_an_old_one_with_its_address() -> None:
    """Addresses are used again."""
    leaving = endpoint("10.0.0.7", uid="old", ready=False, serving=True, terminating=True)
    book = book_of(slice_of(leaving), slice_of(endpoint("10.0.0.7", uid="new")))

    assert [each.draining for each in book.endpoints(ORDERS, "grpc")] == [False]


def test_ports_are_found_by_name() -> None:
    """Slices may mean other numbers by it; UDP is passed over."""
    two = [{"name": "grpc", "port": 50052}, {"port": 8080}, {"name": "dns", "port": 53, "protocol": "UDP"}]
    book = book_of(slice_of(endpoint("10.0.0.7")), slice_of(endpoint("10.0.0.8"), ports=two))

    assert [each.port for each in book.endpoints(ORDERS, "grpc")] == [50051, 50052]
    assert [each.port for each in book.endpoints(ORDERS, "")] == [8080]
    assert book.endpoints(ORDERS, "dns") == ()
    assert book.problems == ()


def test_a_slice_without_endpoints_may_be_without_ports() -> None:
    """The controller makes such ones."""
    assert book_of(slice_of(ports=[])).problems == ()


@pytest.mark.parametrize(
    ("odd", "code"),
    [
        (slice_of(endpoint("db.example.com"), family="FQDN"), "bad-address-type"),
        (slice_of(endpoint("10.0.0.1"), family=None), "bad-address-type"),
        (slice_of(endpoint("10.0.0.1"), ports=[]), "slice-without-ports"),
        (slice_of(endpoint("10.0.0.1"), ports="none"), "slice-without-ports"),
        (slice_of(endpoint("10.0.0.1"), ports=[{"name": "grpc", "port": None}]), "bad-slice-port"),
        (slice_of(endpoint("10.0.0.1"), ports=[{"name": "grpc", "port": 1000, "endPort": 2000}]), "bad-slice-port"),
        (slice_of(endpoint("10.0.0.1"), ports=[{"name": "grpc", "port": "8080-8090"}]), "bad-slice-port"),
        (slice_of(endpoint("10.0.0.1"), ports=["grpc"]), "bad-slice-port"),
        (slice_of(endpoint("10.0.0.1", ready="yes")), "bad-conditions"),
        (slice_of({"addresses": ["10.0.0.1"], "conditions": ["ready"]}), "bad-conditions"),
        (slice_of("10.0.0.1"), "malformed-slice"),
        *(
            (slice_of(endpoint(address)), "bad-address")
            for address in ("127.0.0.1", "0.0.0.0", "169.254.1.1", "224.0.0.1", "10.0.0.256", "2001:db8::1", "", "a")
        ),
        *(
            (slice_of(endpoint(address), family="IPv6"), "bad-address")
            for address in ("::1", "::", "fe80::1", "ff02::1", "::ffff:127.0.0.1", "2001:db8::1%eth0", "10.0.0.1")
        ),
        (slice_of({"addresses": []}), "bad-address"),
        (slice_of({"addresses": [7]}), "bad-address"),
        (slice_of({}), "bad-address"),
    ],
)
def test_what_is_odd_is_named_and_the_rest_served(odd: Json, code: str) -> None:
    """Neither the slice's other endpoints nor other slices suffer."""
    odd["endpoints"].append(endpoint("10.0.0.8" if odd["addressType"] == "IPv4" else "2001:db8::8"))
    book = book_of(odd, slice_of(endpoint("10.0.0.9")))

    assert [problem.code for problem in book.problems] == [code]
    assert {problem.where for problem in book.problems} == {"EndpointSlice shop/orders-x7k2p"}
    assert ("10.0.0.9",) in addresses(book)
    rest = code in ("bad-address", "bad-conditions", "malformed-slice")
    assert len(addresses(book)) == 1 + rest


def test_many_problems_of_one_kind_are_one() -> None:
    """With their number: a slice has room for a thousand."""
    book = book_of(slice_of(*(endpoint("127.0.0.1") for _ in range(3))))

    assert [str(problem) for problem in book.problems] == [
        "EndpointSlice shop/orders-x7k2p: '127.0.0.1' is nobody's address in a network: left out (3 such)"
    ]


def test_problems_are_in_one_order() -> None:
    """Whatever order the slices came in."""
    odd = [
        slice_of(endpoint("127.0.0.1")),
        slice_of(endpoint("::1"), name="x", of="stock"),
        slice_of(endpoint("0.0.0.0")),
    ]

    assert book_of(*odd).problems == book_of(*reversed(odd)).problems


def test_a_problem_goes_with_its_slice() -> None:
    """And when it is mended."""
    book = book_of(slice_of(endpoint("127.0.0.1")), slice_of(endpoint("::1")))
    book.put(0, slice_of(endpoint("10.0.0.1")))
    book.put(1, None)

    assert book.problems == ()


@pytest.mark.parametrize("metadata", [None, {}, {"labels": None}, {"labels": {"kubernetes.io/service-name": 7}}])
def test_a_slice_of_no_service_is_passed_over(metadata: Any) -> None:
    """Others may use EndpointSlices too."""
    book = EndpointBook()

    assert book.put(0, {**slice_of(endpoint("10.0.0.1")), "metadata": metadata}) == frozenset()
    assert book.problems == ()


def test_put_says_whose_endpoints_are_others_now() -> None:
    """A slice may go over from one Service to another; nothing new changes nobody."""
    book = EndpointBook()

    assert book.put("x", slice_of(endpoint("10.0.0.1"))) == {ORDERS}
    assert book.put("x", slice_of(endpoint("10.0.0.1"), name="another-name")) == frozenset()
    assert book.put("x", slice_of(endpoint("10.0.0.1"), of="stock")) == set(REFS)
    assert book.put("x", None) == {REFS[1]}
    assert book.put("x", None) == frozenset()
    assert addresses(book) == []


_ADDRESSES = {
    "IPv4": st.sampled_from(["10.0.0.1", "10.0.0.2", "10.0.0.3", "127.0.0.1"]),
    "IPv6": st.sampled_from(["2001:db8::1", "2001:db8::2", "::1"]),
}
_CONDITION = st.sampled_from([None, True, False, "odd"])


def _endpoints(family: str) -> st.SearchStrategy[Json]:
    return st.builds(
        endpoint,
        _ADDRESSES[family],
        uid=st.sampled_from(["", "p1", "p2", "p3"]),
        zone=st.sampled_from([None, "a", "b"]),
        ready=st.sampled_from([None, True, True, False]),
        serving=_CONDITION,
        terminating=st.sampled_from([None, False, False, True]),
    )


def _slices(family: str) -> st.SearchStrategy[Json]:
    ports = st.sampled_from([None, [], [{"port": 8080}], [{"port": 8080}, {"name": "grpc", "port": 50052}]])
    make: Callable[..., Json] = slice_of
    return st.builds(
        lambda found, of, ports: make(*found, of=of, ports=ports, family=family),
        st.lists(_endpoints(family), max_size=4),
        st.sampled_from([ref.name for ref in REFS]),
        ports,
    )


SLICES = st.one_of(_slices("IPv4"), _slices("IPv6"))
KEYS = st.integers(0, 4)
EVENTS = st.one_of(
    st.tuples(st.just("put"), KEYS, SLICES),
    st.tuples(st.just("remove"), KEYS, st.none()),
    st.tuples(st.just("again"), KEYS, st.none()),
    st.tuples(st.just("move"), KEYS, KEYS),
    st.tuples(st.just("relist"), st.permutations(range(5)), st.none()),
)


def everything(book: EndpointBook) -> dict[tuple[ServiceRef, str], tuple[Endpoint, ...]]:
    """Give all that a book knows."""
    return {(ref, name): book.endpoints(ref, name) for ref in REFS for name in PORT_NAMES}


@given(st.lists(EVENTS, min_size=5, max_size=30))
@settings(max_examples=150, deadline=None)
def test_any_sequence_of_events_ends_where_a_fresh_list_begins(events: list[tuple[str, Any, Any]]) -> None:
    """Split, merged, reordered, duplicated, relisted; and every change is told of."""
    book, there = EndpointBook(), dict[int, Json]()
    for kind, key, more in events:
        before = everything(book)
        told: set[ServiceRef] = set()
        for place, document in _puts(kind, key, more, there):
            told |= book.put(place, document)
            _note(there, place, document)
        after = everything(book)
        assert {ref for ref, name in after if after[ref, name] != before[ref, name]} <= told
    fresh = book_of(*there.values())

    assert everything(book) == everything(fresh)
    assert book.problems == fresh.problems


def _note(there: dict[int, Json], place: int, document: Json | None) -> None:
    if document is None:
        there.pop(place, None)
    else:
        there[place] = document


def _puts(kind: str, key: Any, more: Any, there: dict[int, Json]) -> list[tuple[int, Json | None]]:
    match kind:
        case "put" | "remove":
            return [(key, more)]
        case "again":
            return [(key, there.get(key))]
        case "move":  # all endpoints of a slice go over to another, the new one first
            found, other = there.get(key), there.get(more)
            if found is None or other is None or key == more or found["addressType"] != other["addressType"]:
                return []
            merged = {**other, "endpoints": [*other["endpoints"], *found["endpoints"]]}
            return [(more, merged), (key, {**found, "endpoints": []})]
    return [(place, there.get(place)) for place in key]
