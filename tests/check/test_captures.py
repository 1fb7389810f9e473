"""Captured names and pushed endpoints in a cluster: who asks, who has them, and what that costs the DNS."""

from __future__ import annotations

from typing import Any

import pytest

from tests import builders
from tests.builders import port, service
from tests.check import world
from tests.check.api import Json
from webhook.check.judge_captures import judge_captures, judge_pushing, judge_words, users_of_pushing
from webhook.check.judge_dns import judge_dns
from webhook.check.judge_pods import judge_bare, judge_bootstrap, judge_up_to_date
from webhook.check.model import Result
from webhook.core import names
from webhook.core.catalog import Catalog, build_catalog
from webhook.core.model import DiscoveryMode, Namespace, SidecarSettings

SETTINGS = SidecarSettings()
INJECTOR = builders.injector()
ORDERS = service("orders", port(80, "grpc", targetPort=8080), port(5432, "db"))
SHOP = builders.namespace("shop", labels={names.INJECT: names.ENABLED})


def known(*objects: Json, **words: str) -> Catalog:
    """Give a catalog whose namespace says these words."""
    annotations = {f"{names.DOMAIN}/{key}": text for key, text in words.items()}
    return build_catalog([*objects, builders.namespace("shop", annotations=annotations), world.TRUSTED])


def injected(*services: Json, **words: str) -> Json:
    """Make a live Pod that says these words."""
    annotations = {f"{names.DOMAIN}/{key}": text for key, text in words.items()}
    return world.injected(builders.pod(annotations=annotations), *services, world.TRUSTED)


def test_names_that_are_captured_are_counted() -> None:
    """A namespace that asks for none is not named."""
    assert judge_captures(["shop", "attic"], known(ORDERS, capture="enabled"), INJECTOR).found == ("shop: 1",)
    assert judge_captures(["shop"], known(ORDERS), INJECTOR).found == ()


def test_names_that_are_not_captured_are_told_with_the_reason_and_what_would_do() -> None:
    """In one line a namespace, however many there are."""
    many = [service(f"s{number}", sessionAffinity="ClientIP") for number in range(7)]

    found = judge_captures(["shop"], known(*many, capture="enabled"), INJECTOR)

    [said] = found.found
    assert said.startswith("namespace shop: calls to these names are not captured: s0.shop: its sessionAffinity keeps")
    assert (said.count("sessionAffinity"), said.endswith("; and 2 more")) == (5, True)
    assert found.remedy == (
        "what is not headless: kubectl annotate namespace shop evenkeel.dev/discovery=xds",
        "a port below 1024: the setting sidecar.privileged_ports, if all container runtimes let anybody bind it",
        "what is meant so: kubectl annotate -n shop service NAME evenkeel.dev/capture=disabled",
    )


def test_a_service_with_an_address_is_captured_where_endpoints_are_pushed() -> None:
    """The same namespace, by DNS and not."""
    users = service("users", clusterIP="10.0.0.7")

    assert judge_captures(["shop"], known(users, capture="enabled"), INJECTOR).result is Result.WARNING
    assert judge_captures(["shop"], known(users, capture="enabled", discovery="xds"), INJECTOR).found == ("shop: 1",)


def test_words_of_namespaces_are_judged() -> None:
    """A bad value and a typo; what is right is not told."""
    odd = Namespace("attic", {}, {names.CAPTURE: "yes", "evenkeel.dev/discover": "xds", names.DISCOVERY: "xds"})

    found = judge_words([odd, Namespace("shop", {}, {names.CAPTURE: "enabled"})])

    capture, typo = found.found
    assert (capture, typo) == (
        f"namespace attic: annotation {names.CAPTURE}: found 'yes', treated as not set; accepted: enabled, disabled",
        "namespace attic: unknown annotation 'evenkeel.dev/discover'; did you mean evenkeel.dev/discovery?",
    )


@pytest.mark.parametrize(
    ("pod", "users"),
    [
        (injected(), []),
        (injected(discovery="xds"), ["Pod shop/front-0"]),
        (injected(mode="proxyless"), ["Pod shop/front-0"]),
        (builders.pod(annotations={names.DISCOVERY: "xds"}), ["Pod shop/front-0"]),
        (builders.pod(annotations={names.DISCOVERY: "eds"}), []),
    ],
    ids=["by-dns", "pushed", "proxyless", "bare", "garbled"],
)
def test_who_wants_endpoints_pushed(pod: Json, users: list[str]) -> None:
    """Pods that are, and those that ask."""
    assert list(users_of_pushing([], [pod], SETTINGS)) == users


def test_a_namespace_or_the_operator_may_want_them() -> None:
    """The namespace goes before the operator."""
    spaces = [
        Namespace("a"),
        Namespace("b", {}, {names.DISCOVERY: "xds"}),
        Namespace("c", {}, {names.DISCOVERY: "dns"}),
    ]
    wide = SidecarSettings(discovery=DiscoveryMode.XDS)

    assert list(users_of_pushing(spaces, [], SETTINGS)) == ["namespace b"]
    assert list(users_of_pushing(spaces, [], wide)) == ["namespace a", "namespace b"]


def test_who_pushes_is_looked_at_where_somebody_wants_it() -> None:
    """Nobody has to run what nobody asks for."""
    assert judge_pushing(None, [], [], "evenkeel-system").result is Result.OK
    assert judge_pushing(None, [], ["namespace shop"], "evenkeel-system").result is Result.FAILED


def test_pods_that_are_pushed_to_have_a_bootstrap_of_their_own() -> None:
    """Each kind is compared with its own."""
    pods = [injected(ORDERS), injected(ORDERS, discovery="xds")]
    older: Any = injected(ORDERS, discovery="xds")
    older["metadata"]["annotations"][names.BOOTSTRAP] = pods[0]["metadata"]["annotations"][names.BOOTSTRAP]

    assert judge_bootstrap(pods, INJECTOR).result is Result.OK
    assert judge_bootstrap([*pods, older], INJECTOR).result is Result.WARNING


@pytest.mark.parametrize("key", [names.CAPTURES, names.TRUST])
def test_what_only_some_pods_carry_is_compared_too(key: str) -> None:
    """Captured routes, and whom the sidecar trusts."""
    pod = injected(ORDERS, capture="enabled", discovery="xds")
    catalog = known(ORDERS)

    assert judge_up_to_date([pod, injected(ORDERS)], catalog, INJECTOR).result is Result.OK
    pod["metadata"]["annotations"][key] = "older"
    assert judge_up_to_date([pod], catalog, INJECTOR).result is Result.WARNING


def test_a_proxyless_pod_is_not_bare() -> None:
    """It has what takes the place of a sidecar; one that only asks for it has not."""
    catalog = build_catalog([SHOP])

    assert judge_bare([injected(mode="proxyless")], catalog, SETTINGS).result is Result.OK
    assert judge_bare([builders.pod(annotations={names.MODE: "proxyless"})], catalog, SETTINGS).result is Result.FAILED


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ({}, "about 0.2 queries a second (sidecars: 1, upstreams: 1)"),
        ({"capture": "enabled"}, "about 0.4 queries a second (sidecars: 1, upstreams: 2)"),
        ({"discovery": "xds"}, "about 0.4 queries a second (sidecars: 1, upstreams: 1)"),
        ({"capture": "enabled", "discovery": "xds"}, "about 0.6 queries a second (sidecars: 1, upstreams: 2)"),
    ],
)
def test_every_name_that_a_sidecar_asks_for_is_counted(words: dict[str, str], says: str) -> None:
    """Ports that are passed through, and the control plane's own address."""
    assert judge_dns([injected(ORDERS, **words)], SETTINGS).found == (says,)
