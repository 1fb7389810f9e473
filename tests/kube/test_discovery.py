"""The catalog from the API server."""

from __future__ import annotations

import asyncio
from base64 import b64encode
from collections import Counter
from typing import Any

import pytest
from structlog.testing import capture_logs

from tests.builders import namespace, service
from tests.kube.apiserver import ApiServer, answers, status
from tests.kube.discovered import CONTROLLER, MANAGED_BY, NAMED, SLICE, Discover, path_of, ready, slice_of
from tests.kube.kit import until
from webhook.core import names
from webhook.core.catalog import Catalog, build_catalog
from webhook.core.model import ServiceRef
from webhook.kube.api import Api
from webhook.kube.discovery import Changed
from webhook.kube.resources import ENDPOINT_SLICES, MUTATING_WEBHOOKS, NAMESPACES, SERVICES


async def test_the_first_catalog_has_it_all(server: ApiServer, discover: Discover) -> None:
    """One publication for all lists, however many pages they have."""
    server.limit = 1
    objects = [
        namespace("shop", labels={names.INJECT: "enabled"}),
        service("orders", NAMED),
        service("users"),
        slice_of("orders", SLICE),
    ]
    async with discover(*objects) as one:
        await ready(server, one)

        assert one.upstreams() == ["orders.shop:9", "users.shop:50051"]
        assert one.catalogs[0].version == build_catalog(objects).version
        assert one.told == [Changed(everything=True)]
        assert one.discovery.missing() is None
        assert one.metric("evenkeel_catalog_upstreams") == 2
        assert one.metric("evenkeel_discovery_objects", resource="services") == 2


async def test_what_is_asked_of_the_api_server(server: ApiServer, api: Api, discover: Discover) -> None:
    """Lists and watches of three resources, of slices only those that matter, each once."""
    async with discover() as one:
        await ready(server, one)

        asked = Counter(
            (call.path, call.query.get("labelSelector"), call.query.get("fieldSelector"), call.watch)
            for call in server.calls
        )
        selectors = {
            (SERVICES.path(), None, None),
            (NAMESPACES.path(), None, None),
            (ENDPOINT_SLICES.path(), f"{MANAGED_BY}={CONTROLLER},service.kubernetes.io/headless", None),
            (ENDPOINT_SLICES.path(), f"{MANAGED_BY}!={CONTROLLER}", None),
            (MUTATING_WEBHOOKS.path(), None, "metadata.name=evenkeel"),
        }
        assert asked == {(*each, watch): 1 for each in selectors for watch in (True, False)}
        assert set(api.calls) == {
            (verb, resource, "")
            for verb in ("list", "watch")
            for resource in ("services", "namespaces", "endpointslices", "mutatingwebhookconfigurations")
        }


async def test_changes_are_published_and_named(server: ApiServer, discover: Discover) -> None:
    """A Service made later, a slice that says what its named port is, another namespace, a deletion."""
    async with discover(service("users")) as one:
        await ready(server, one)
        for count, obj in enumerate((service("orders", NAMED), slice_of("orders", SLICE), namespace("store")), 2):
            await server.put(path_of(obj), obj)
            await until(lambda expected=count: len(one.told) == expected)
        assert one.upstreams() == ["orders.shop:9", "users.shop:50051"]
        await server.remove(SERVICES.path(), service("users"))
        await until(lambda: len(one.told) == 5)

        assert one.told[1:] == [
            Changed(services=frozenset({ServiceRef("shop", "orders")})),
            Changed(services=frozenset({ServiceRef("shop", "orders")})),
            Changed(namespaces=frozenset({"store"})),
            Changed(services=frozenset({ServiceRef("shop", "users")})),
        ]
        assert one.upstreams() == ["orders.shop:9"]


async def test_slices_made_by_hand_count(server: ApiServer, discover: Discover) -> None:
    """A Service without a selector has no others; those of Services with an address never come over the wire."""
    theirs = slice_of("orders", SLICE, **{MANAGED_BY: CONTROLLER})
    theirs["metadata"]["name"] = "not-headless"
    ours = slice_of("orders", {"name": "grpc", "port": 7}, **{MANAGED_BY: "me"})
    async with discover(service("orders", NAMED, selector=None), theirs, ours) as one:
        await ready(server, one)

        assert one.upstreams() == ["orders.shop:7"]


async def test_a_slice_that_changes_hands_is_not_lost(server: ApiServer, discover: Discover) -> None:
    """It leaves one watch and enters the other, in whichever order."""
    async with discover(service("orders", NAMED), slice_of("orders", SLICE)) as one:
        await ready(server, one)
        headless, other = sorted(server.open(ENDPOINT_SLICES.path()), key=lambda watch: "!=" in watch.selector)
        await other.write("ADDED", slice_of("orders", SLICE))
        await until(lambda: one.metric("evenkeel_discovery_objects", resource="endpointslices-other") == 1)
        await headless.write("DELETED", slice_of("orders", SLICE))
        await until(lambda: one.metric("evenkeel_discovery_objects", resource="endpointslices-headless") == 0)
        await server.put(NAMESPACES.path(), namespace("mark"))
        await until(lambda: "mark" in one.catalogs[-1].namespaces)

        assert one.upstreams() == ["orders.shop:9"]


async def test_a_storm_is_published_in_few_catalogs(server: ApiServer, discover: Discover) -> None:
    """Nothing between two publications is left out of what has changed."""
    async with discover(service("users")) as one:
        held = asyncio.Event()
        jump = one.time.sleep

        async def slow(seconds: float) -> None:
            await jump(seconds)
            await held.wait()

        one.time.sleep = slow  # type: ignore[method-assign]
        object.__setattr__(one.discovery._pace, "sleep", slow)
        await ready(server, one)
        for number in range(200):
            await server.put(SERVICES.path(), service(f"s{number}"))
        await until(lambda: one.metric("evenkeel_discovery_objects", resource="services") == 201)
        held.set()
        await until(lambda: len(one.catalogs[-1].services) == 201)

        assert len(one.catalogs) == 2
        assert one.told[-1] == Changed(services=frozenset(ServiceRef("shop", f"s{number}") for number in range(200)))
        assert one.time.slept[0] == 0.1


async def test_what_nobody_reads_is_no_change(server: ApiServer, discover: Discover) -> None:
    """A status, a label of a Service, an address of a slice: no catalog comes of it."""
    async with discover(service("orders"), slice_of("orders", SLICE)) as one:
        await ready(server, one)
        changed = service("orders", type="ClusterIP", sessionAffinity="None")
        changed["metadata"]["labels"] = {"x": "y"}
        changed["metadata"]["annotations"] = {"kubectl.kubernetes.io/last-applied-configuration": "{}"}
        await server.put(SERVICES.path(), {**changed, "status": {"loadBalancer": {}}})
        await server.put(ENDPOINT_SLICES.path(), {**slice_of("orders", SLICE), "endpoints": []})
        await server.put(NAMESPACES.path(), namespace("mark"))
        await until(lambda: "mark" in one.catalogs[-1].namespaces)

        assert one.told == [Changed(everything=True), Changed(namespaces=frozenset({"mark"}))]


async def test_not_ready_before_all_is_in(server: ApiServer, discover: Discover) -> None:
    """It says what is missing and why; nothing is published before."""
    held = asyncio.Event()

    async def waits(request: Any) -> Any:
        await held.wait()
        return server._list(request)

    server.faults.append((f"list {NAMESPACES.path()}", answers(lambda: status(403, "Forbidden", "no"))))
    server.faults.append((f"list {NAMESPACES.path()}", waits))
    async with discover(service("orders")) as one:
        assert one.discovery.missing() == "the services of the cluster are not known yet"
        await until(lambda: len(server.asked(NAMESPACES.path(), watch=False)) == 2)
        await until(lambda: one.metric("evenkeel_discovery_objects", resource="services") == 1)
        await until(lambda: "namespaces" in str(one.discovery.missing()))

        assert one.discovery.missing() == (
            "the namespaces of the cluster are not known yet: GET /api/v1/namespaces: forbidden: no"
        )
        assert one.catalogs == []
        held.set()
        await ready(server, one)

        assert one.discovery.missing() is None
        assert one.told == [Changed(everything=True)]


async def test_without_an_api_server_the_last_catalog_stays(server: ApiServer, discover: Discover) -> None:
    """It is ready all the time; what happened meanwhile comes with the API server."""
    with capture_logs() as logs:
        async with discover(service("orders"), service("users")) as one:
            await ready(server, one)
            await server.stop()
            await until(lambda: one.metric("evenkeel_discovery_connected", resource="services") == 0)

            assert one.discovery.missing() is None
            assert len(one.catalogs) == 1
            await until(lambda: len(one.time.slept) > 40)
            await server.start()
            await server.remove(SERVICES.path(), service("users"))
            await until(lambda: one.upstreams() == ["orders.shop:50051"])
            await until(lambda: len(server.watches) == 5)

            assert one.metric("evenkeel_discovery_connected", resource="services") == 1
            assert one.told[1:] == [Changed(services=frozenset({ServiceRef("shop", "users")}))]
    lost = Counter(entry["resource"] for entry in logs if "lost" in entry["event"])
    back = Counter(entry["resource"] for entry in logs if "back" in entry["event"])
    followed = ("services", "namespaces", "endpointslices-headless", "endpointslices-other", "authorities")
    assert lost == back == dict.fromkeys(followed, 1)


def configuration(*bundles: str) -> Any:
    """Make the webhook configuration that publishes these CAs, one a webhook."""
    webhooks = [{"clientConfig": {"caBundle": b64encode(text.encode()).decode()}} for text in bundles]
    kind = {"apiVersion": "admissionregistration.k8s.io/v1", "kind": "MutatingWebhookConfiguration"}
    return {**kind, "metadata": {"name": "evenkeel"}, "webhooks": [*webhooks, {"clientConfig": {}}, {}]}


PEM = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----"


async def test_the_authorities_are_in_the_first_catalog_and_followed(server: ApiServer, discover: Discover) -> None:
    """Each bundle once, whoever writes it; a new one is a publication in which no Service has changed."""
    async with discover(service("orders"), configuration(PEM, f"{PEM}\n")) as one:
        await ready(server, one)
        assert one.catalogs[0].trust == f"{PEM}\n"
        await server.put(MUTATING_WEBHOOKS.path(), configuration(f"{PEM}\n{PEM}"))
        await until(lambda: len(one.catalogs) == 2)
        await server.remove(MUTATING_WEBHOOKS.path(), configuration())
        await until(lambda: len(one.catalogs) == 3)

        assert [catalog.trust for catalog in one.catalogs[1:]] == [f"{PEM}\n{PEM}\n", ""]
        assert one.told[1:] == [Changed(), Changed()]
        assert one.upstreams() == ["orders.shop:50051"]


@pytest.mark.parametrize("bundle", ["", "no PEM", "-----BEGIN PRIVATE KEY-----", "é" + PEM, PEM * 300])
async def test_what_is_no_bundle_is_not_trusted(server: ApiServer, discover: Discover, bundle: str) -> None:
    """Nor is one that would fill the annotations of every Pod."""
    async with discover(configuration(bundle)) as one:
        await ready(server, one)

        assert one.catalogs[0].trust == ""


async def test_without_the_right_to_read_the_authorities_all_else_goes_on(
    server: ApiServer, discover: Discover
) -> None:
    """They decide nothing about endpoints by DNS: the first catalog comes without them, and they with the next."""
    refused = asyncio.Event()

    async def refuses(request: Any) -> Any:
        if refused.is_set():
            return server._list(request)
        server.faults.append((f"list {MUTATING_WEBHOOKS.path()}", refuses))
        return status(403, "Forbidden", "no")

    server.faults.append((f"list {MUTATING_WEBHOOKS.path()}", refuses))
    async with discover(service("orders"), configuration(PEM), trust_seconds=0.01) as one:
        await until(lambda: one.catalogs)
        assert (one.catalogs[0].trust, one.upstreams()) == ("", ["orders.shop:50051"])
        assert one.discovery.missing() is None
        refused.set()
        await until(lambda: len(one.catalogs) == 2)

        assert one.catalogs[1].trust == f"{PEM}\n"


async def test_problems_are_told_when_they_appear(server: ApiServer, discover: Discover) -> None:
    """Each once, not with each catalog."""
    bad = {names.RETRY: "often"}
    with capture_logs() as logs:
        async with discover(service("orders", annotations=bad)) as one:
            await ready(server, one)
            await server.put(SERVICES.path(), service("users"))
            await until(lambda: len(one.catalogs) == 2)
            await server.put(SERVICES.path(), service("users", annotations=bad))
            await until(lambda: len(one.catalogs) == 3)

            assert one.told[-1] == Changed()
            assert one.metric("evenkeel_catalog_problems", code=one.catalogs[-1].problems[0].code) == 2
    problems = [entry["where"] for entry in logs if entry["event"] == "catalog problem"]
    assert [where.split(",")[0].split()[1] for where in problems] == ["shop/orders", "shop/users"]


async def test_a_late_subscriber_is_called_at_once(server: ApiServer, discover: Discover) -> None:
    """With the catalog of now; it has missed nothing."""
    async with discover(service("orders")) as one:
        await ready(server, one)
        heard: list[tuple[Catalog, Changed]] = []
        one.discovery.subscribe(lambda *told: heard.append(told))

        assert heard == [(one.catalogs[-1], Changed(everything=True))]
        await server.put(SERVICES.path(), service("users"))
        await until(lambda: len(heard) == 2)

        assert heard[1] == (one.catalogs[-1], Changed(services=frozenset({ServiceRef("shop", "users")})))


async def test_a_broken_subscriber_ends_it(server: ApiServer, discover: Discover) -> None:
    """A bug is not swallowed: the process ends and is started again."""
    async with discover() as one:
        await ready(server, one)
        one.told = None  # type: ignore[assignment]
        await server.put(SERVICES.path(), service("orders"))
        await until(one.task.done)

        assert isinstance(one.task.exception(), ExceptionGroup)
