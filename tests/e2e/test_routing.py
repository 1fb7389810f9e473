"""Three upstreams behind localhost:9001, reached in every way; a Service that comes late."""

import asyncio
import time
from pathlib import Path

import pytest
import pytest_asyncio
import yaml

from webhook.core import names

pytestmark = [pytest.mark.e2e, pytest.mark.asyncio(loop_scope="module")]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shop(world):
    """Apply the shop once for all tests of this module."""
    await world.apply("exported", "other")
    await world.apply("shop", "shop")
    # All started at once: the sidecar asks DNS again within its refresh.
    end = time.monotonic() + 15
    while any([(await reached(world, authority=name))["failed"] for name in ("a", "b:80", "b:81", "c.other")]):
        assert time.monotonic() < end
        await asyncio.sleep(0.2)
    return world


async def reached(shop, caller="caller", **spec):
    """Say which pods answered a few calls, and what errors there were."""
    documents = await shop.callers("shop", caller)._ask("POST", "/run", {"rpcs": 4, "concurrency": 1, **spec})
    return documents[0]


A = ("a", "a:50051", "a.shop", "a.shop:50051", "a.shop.svc", "a.shop.svc.cluster.local",
     "a.shop.svc.cluster.local:50051", "a.shop.svc.cluster.local.", "a.shop.svc.cluster.local.:50051",
     "A.Shop.svc.cluster.local", "a:9001")  # fmt: skip


@pytest.mark.parametrize("authority", A)
async def test_an_upstream_is_reached_by_every_form_of_its_name(shop, authority):
    """Bare, with namespace, with svc, in full, with and without port and trailing dot."""
    document = await reached(shop, authority=authority)

    assert document["errors"] == {}
    assert set(document["backends"]) == set(shop.deployment("shop", "a").addresses)


@pytest.mark.parametrize(
    ("authority", "expected"),
    [
        ("b", "b-first"),
        ("b:80", "b-first"),
        ("b:50051", "b-first"),
        ("b:81", "b-second"),
        ("b:9090", "b-second"),
        ("b.shop.svc.cluster.local:81", "b-second"),
    ],
)
async def test_the_port_in_the_authority_chooses(shop, authority, expected):
    """By the Service's port or the target port; without one, the first."""
    document = await reached(shop, authority=authority)

    assert document["pods"] == {expected: 4}


@pytest.mark.parametrize("authority", ["c.other", "c.other:50051", "c.other.svc.cluster.local"])
async def test_an_exported_upstream_is_reached_by_its_namespace(shop, authority):
    """Another namespace's Service has no bare name here."""
    document = await reached(shop, authority=authority)

    assert set(document["backends"]) == set(shop.deployment("other", "c").addresses)


@pytest.mark.parametrize("authority", [None, "localhost", "localhost:9001", "127.0.0.1:9001"])
async def test_a_claimed_path_leads_to_its_service(shop, authority):
    """Calls to localhost whose gRPC service a Service claims go there."""
    document = await reached(shop, authority=authority, method="/shop.v1.A/Get")

    assert set(document["backends"]) == set(shop.deployment("shop", "a").addresses)


async def test_an_unclaimed_path_leads_to_the_default_upstream(shop):
    """Here the pod's own choice, a port of b."""
    document = await reached(shop, method="/shop.v1.Unclaimed/Get")

    assert document["pods"] == {"b-second": 4}


async def test_no_match_is_unavailable_and_names_the_choices(shop):
    """Without a default and with several candidates, the message says what there is."""
    document = await reached(shop, "undecided", method="/shop.v1.Unclaimed/Get", rpcs=1)

    (message,) = document["errors"]
    expected = (
        "UNAVAILABLE: evenkeel: authority 'localhost:9001' path '/shop.v1.Unclaimed/Get': several upstreams are "
        "possible: a.shop, b.shop; call one by its name or set annotation evenkeel.dev/default-upstream"
    )
    assert message == expected


async def test_an_unknown_authority_is_unavailable_and_names_what_is_known(shop):
    """A name that is no Service."""
    document = await reached(shop, authority="nowhere.example", rpcs=1)

    (message,) = document["errors"]
    expected = (
        "UNAVAILABLE: evenkeel: authority 'nowhere.example' path '/echo.EchoServer/SayHello': no upstream; "
        "known: a.shop:50051 (shop.v1.A), b.shop:80 b.shop:81, c.other:50051"
    )
    assert message == expected


async def test_a_wrong_port_is_unavailable_and_names_the_right_ones(shop):
    """A known Service, a port it does not have."""
    document = await reached(shop, authority="b:1234", rpcs=1)

    (message,) = document["errors"]
    assert "no such port; b.shop has 80 and 81 and 9090 and 50051" in message


async def test_an_rpc_longer_than_the_service_allows_is_ended_and_a_shorter_one_is_not(shop):
    """The annotation max-timeout, whatever deadline the client has; another Service has none."""
    slow = {"metadata": {"echo-sleep-ms": "1500"}, "rpcs": 2}
    ended = await reached(shop, authority="b", **slow)
    other = await reached(shop, authority="a", **slow)
    short = await reached(shop, authority="b", rpcs=2, metadata={"echo-sleep-ms": "200"})
    own = await reached(shop, authority="a", deadline_seconds=0.3, **slow)

    assert ended["failed"] == 2
    assert {error.partition(":")[0] for error in ended["errors"]} == {"DEADLINE_EXCEEDED"}
    assert (other["failed"], short["failed"]) == (0, 0)
    assert {error.partition(":")[0] for error in own["errors"]} == {"DEADLINE_EXCEEDED"}


async def test_a_late_service_is_reached_by_its_full_name_at_once_and_by_every_route_after_a_swap(shop):
    """Nothing running notices the swap: no stream is cut, no RPC fails."""
    caller, callers = shop.deployment("shop", "caller"), shop.callers("shop")
    before = await reached(shop, authority="late", rpcs=1)
    await shop.apply("late", "shop")
    late = set(shop.deployment("shop", "late").addresses)
    full = await reached(shop, authority="late.shop.svc.cluster.local:50051", rpcs=20)
    stream = {"method": "/echo.EchoServer/ServerStream", "deadline_seconds": 60, "rpcs": 1, "authority": "a",
              "metadata": {"echo-messages": "2", "echo-interval-ms": "8000"}}  # fmt: skip
    open_stream = asyncio.create_task(reached(shop, **stream))
    async with callers.load("swap", rate=100, authority="a") as load:
        await asyncio.sleep(2)
        swapped = time.monotonic()
        await shop.cluster.render_anew(caller)
        while (await reached(shop, authority="late", rpcs=1))["failed"]:
            assert time.monotonic() - swapped < 10
        seconds = time.monotonic() - swapped
        await asyncio.sleep(2)
    by_route = {
        form: set((await reached(shop, **spec))["backends"])
        for form, spec in {
            "bare": {"authority": "late"},
            "port": {"authority": "late:50051"},
            "path": {"method": "/shop.v1.Late/Get"},
        }.items()
    }
    streamed = await open_stream
    print(f"\nswapped in {seconds:.2f} s; {load.rpcs} RPCs meanwhile, {load.failed} failed")

    assert before["failed"] == 1
    assert set(full["backends"]) == late
    assert by_route == {"bare": late, "port": late, "path": late}
    assert (streamed["failed"], streamed["messages"]) == (0, 2)
    assert load.failed == 0


async def test_a_changed_policy_reaches_a_running_pod_without_a_failed_rpc(shop):
    """The upstream's cluster is replaced in Envoy while calls run through it."""
    caller, callers = shop.deployment("shop", "caller"), shop.callers("shop")
    documents = list(yaml.safe_load_all((Path(__file__).parent / "manifests" / "shop.yaml").read_text()))
    service = next(each for each in documents if (each["kind"], each["metadata"]["name"]) == ("Service", "a"))
    service["metadata"]["annotations"][names.LB_POLICY] = "least_request"
    async with callers.load("policy", rate=200, authority="a") as load:
        await shop.cluster.apply([service], namespace="shop")
        end = time.monotonic() + 10
        while "LEAST_REQUEST" not in caller.pods[0].document["metadata"]["annotations"][names.CLUSTERS]:
            assert time.monotonic() < end
            await asyncio.sleep(0.2)
            await shop.cluster.render_anew(caller)
        await asyncio.sleep(3)

    assert dict(load.errors) == {}
