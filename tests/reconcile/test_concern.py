"""Which namespaces a change of Services concerns."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.builders import catalog, namespace, port, service
from webhook.core import names
from webhook.core.model import ServiceRef
from webhook.reconcile.concern import Concern, concern


def exported(to: str | None, *ports: Any, **fields: Any) -> Any:
    """Make `orders` in `shop`, exported or not."""
    return service("orders", *ports, annotations={} if to is None else {names.EXPORT_TO: to}, **fields)


NEAR = frozenset({"shop"})


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ([], [exported(None)], Concern(NEAR)),
        ([exported(None)], [], Concern(NEAR)),
        ([exported(None)], [exported(None)], Concern()),
        ([], [exported("bank, mail")], Concern(NEAR, frozenset({"bank", "mail"}))),
        ([exported("bank")], [exported("mail")], Concern(NEAR, frozenset({"bank", "mail"}))),
        ([exported("bank")], [exported(None)], Concern(NEAR, frozenset({"bank"}))),
        ([exported("bank")], [], Concern(NEAR, frozenset({"bank"}))),
        ([exported("*")], [exported("bank")], Concern(NEAR, frozenset({"bank"}), everywhere=True)),
        ([], [exported("bank", port(80, "http"))], Concern(NEAR)),
        ([], [exported("bank", clusterIP="10.0.0.1")], Concern(NEAR, frozenset({"bank"}))),
        ([exported("bank")], [exported("bank", clusterIP="10.0.0.1")], Concern(NEAR, frozenset({"bank"}))),
        ([], [exported("bank"), service("users", namespace="bank")], Concern(frozenset({"shop", "bank"}))),
        ([], [namespace("shop", labels={"a": "b"})], Concern()),
        ([], [namespace("shop", annotations={names.DISCOVERY: "xds"})], Concern(NEAR)),
        ([namespace("shop", annotations={names.DISCOVERY: "xds"})], [namespace("shop")], Concern(NEAR)),
        ([namespace("shop", annotations={names.DISCOVERY: "xds"})], [], Concern(NEAR)),
    ],
    ids=[
        "a new Service concerns its own namespace",
        "a deleted one too",
        "the same is no change",
        "a new one that is exported concerns those that see it",
        "those that saw it before and those that see it now",
        "one that is exported no more concerns those that saw it",
        "a deleted one concerns those that saw it",
        "one that everybody saw concerns everybody",
        "one without upstreams is seen by nobody else",
        "one whose endpoints could be pushed is seen by others",
        "one that was an upstream concerns those that called it",
        "near goes before far",
        "a Namespace's labels change nothing",
        "its annotations say where endpoints come from",
        "also those that are gone",
        "or went with it",
    ],
)
def test_concerned(before: list[Any], after: list[Any], expected: Concern) -> None:
    """Own namespace near, others far."""
    assert concern(catalog(*before), catalog(*after)) == expected
    assert bool(expected) is bool(expected.near)  # a Service is nowhere seen where it is not near


def test_another_ca_concerns_everybody() -> None:
    """Sidecars that are pushed to are everywhere."""
    before = catalog(service("orders"))

    found = concern(before, replace(before, trust="PEM"), [])

    assert (found, bool(found)) == (Concern(everywhere=True), True)


def test_what_is_known_to_be_the_same_is_not_compared() -> None:
    """Whoever publishes knows what has changed."""
    before = catalog(service("orders"), service("users", namespace="bank"))
    after = catalog(service("orders", port(1, "grpc")), service("users", port(2, "grpc"), namespace="bank"))

    assert concern(before, after, [ServiceRef("bank", "users"), ServiceRef("bank", "gone")]) == Concern(
        frozenset({"bank"})
    )
