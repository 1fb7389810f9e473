"""Odd EndpointSlices, as check tells of them."""

from __future__ import annotations

from tests.check.api import Json
from webhook.check.judge_endpoints import judge_endpoints
from webhook.check.model import Result
from webhook.core import names


def sliced(name: str, kind: str = "IPv4", *addresses: str) -> Json:
    """Give an EndpointSlice of Service orders."""
    return {
        "kind": "EndpointSlice",
        "metadata": {"namespace": "shop", "name": name, "labels": {names.SLICE_SERVICE: "orders"}},
        "addressType": kind,
        "ports": [{"name": "grpc", "port": 50051, "protocol": "TCP"}],
        "endpoints": [{"addresses": [address]} for address in addresses],
    }


def test_what_can_be_told_is_counted() -> None:
    """Nothing else is said."""
    found = judge_endpoints([sliced("a", "IPv4", "10.0.0.1"), sliced("b", "IPv6", "fd00::1")])

    assert (found.result, found.found) == (Result.OK, ("2 EndpointSlices",))


def test_what_is_odd_is_named_with_who_has_to_mend_it() -> None:
    """Each for itself; the good ones are no matter."""
    found = judge_endpoints(
        [sliced("a", "IPv4", "10.0.0.1"), sliced("b", "FQDN", "db.example.com"), sliced("c", "IPv4", "127.0.0.1")]
    )

    assert found.result is Result.WARNING
    assert [line.partition(":")[0] for line in found.found] == ["EndpointSlice shop/b", "EndpointSlice shop/c"]
    assert any("managed-by" in remedy for remedy in found.remedy)


def test_of_many_some_are_named() -> None:
    """And how many there are."""
    found = judge_endpoints(sliced(f"s{number:02}", "FQDN", "db.example.com") for number in range(25))

    assert len(found.found) == 11
    assert found.found[-1] == "and 15 more"
