"""The server over real sockets: who is let in, who hears of what, and that nobody pays for another."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, Self

import grpc
import pytest
import trustme
from envoy.service.discovery.v3 import discovery_pb2
from prometheus_client import CollectorRegistry

from tests.xds.raw_http2 import call_and_never_read
from tests.xds.simulators import Shelf
from webhook.xds.client import Client, NotServed
from webhook.xds.identity import Identity
from webhook.xds.limits import Limits
from webhook.xds.metrics import XdsMetrics
from webhook.xds.server import AdsServer
from webhook.xds.source import EDS

SERVICE = "/envoy.service.discovery.v3.AggregatedDiscoveryService/"
DELTA = f"{SERVICE}DeltaAggregatedResources"
SOTW = f"{SERVICE}StreamAggregatedResources"
OWN_CONNECTION = [("grpc.use_local_subchannel_pool", 1)]
LIMIT = 20.0


async def let_in(metadata: Mapping[str, str], _peer: str) -> Client:
    """Let in who says who it is; `slow` never hears an answer."""
    name = metadata.get("authorization")
    if name is None:
        raise NotServed(grpc.StatusCode.UNAUTHENTICATED, "who are you?")
    if name == "slow":
        await asyncio.Event().wait()
    return Client(Identity("shop", name), seconds=0.05 if name == "brief" else None)


class World:
    """A server, what it serves, and its metrics."""

    def __init__(self, limits: Limits | None = None) -> None:
        self.shelf = Shelf()
        self.registry = CollectorRegistry()
        self.server = AdsServer({EDS: self.shelf}, let_in, XdsMetrics(self.registry), limits=limits)
        self.port = 0

    def put(self, content: str, name: str = "a") -> None:
        """Change a resource and tell the server."""
        self.shelf.put(name, content)
        self.server.changed(EDS, [name])

    def value(self, name: str, **labels: str) -> float:
        """Give a metric."""
        return self.registry.get_sample_value(f"evenkeel_xds_{name}", labels) or 0.0

    async def until(self, name: str, value: float, **labels: str) -> None:
        """Wait for a metric to have a value."""
        async with asyncio.timeout(LIMIT):
            while self.value(name, **labels) != value:
                await asyncio.sleep(0.005)


@asynccontextmanager
async def world(limits: Limits | None = None, credentials: Any = None) -> AsyncIterator[World]:
    """Serve on a free port."""
    made = World(limits)
    made.port = await made.server.listen("127.0.0.1:0", credentials)
    try:
        yield made
    finally:
        await made.server.stop(0.0)


class Caller:
    """A client with a connection of its own."""

    def __init__(self, port: int, name: str | None = "front-0", method: str = DELTA, ca: bytes | None = None) -> None:
        target = f"127.0.0.1:{port}"
        self._channel = (
            grpc.aio.insecure_channel(target, options=OWN_CONNECTION)
            if ca is None
            else grpc.aio.secure_channel(target, grpc.ssl_channel_credentials(ca), options=OWN_CONNECTION)
        )
        self.delta = method == DELTA
        metadata = () if name is None else (("authorization", name),)
        self.call = self._channel.stream_stream(method)(metadata=metadata)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        self.call.cancel()
        await self._channel.close()

    async def ask(self, *names: str, nonce: str = "", error: str = "") -> None:
        """Send a request."""
        if self.delta:
            request: Any = discovery_pb2.DeltaDiscoveryRequest(resource_names_subscribe=names)
        else:
            request = discovery_pb2.DiscoveryRequest(resource_names=names)
        request.type_url, request.response_nonce = EDS, nonce
        if error:
            request.error_detail.message = error
        await self.call.write(request.SerializeToString())

    async def hear(self, *names: str) -> str:
        """Give what the next response tells, and take it; a request of the state of the world repeats the names."""
        response = await self.read()
        await self.ask(*names, nonce=response.nonce)
        [one] = response.resources
        value: bytes = one.resource.value if self.delta else one.value
        return value.decode()

    async def read(self) -> Any:
        """Give the next response."""
        async with asyncio.timeout(LIMIT):
            data = await self.call.read()
        assert data is not grpc.aio.EOF, await self.call.details()
        kind = discovery_pb2.DeltaDiscoveryResponse if self.delta else discovery_pb2.DiscoveryResponse
        return kind.FromString(data)

    async def ended(self) -> tuple[grpc.StatusCode, str]:
        """Wait for the end; give status and details."""
        async with asyncio.timeout(LIMIT):
            return await self.call.code(), str(await self.call.details())


@pytest.mark.parametrize("method", [DELTA, SOTW])
async def test_a_client_hears_what_it_asks_for_and_what_changes(method: str) -> None:
    """In both variants, and the metrics tell of it."""
    async with world() as here, Caller(here.port, method=method) as caller:
        here.put("1")
        names = () if method == DELTA else ("a",)
        await caller.ask("a")
        assert await caller.hear(*names) == "a=1"
        here.put("2")
        assert await caller.hear(*names) == "a=2"

        variant = "delta" if method == DELTA else "state-of-the-world"
        assert here.value("streams", variant=variant) == 1
        assert here.server.streams == 1
        await here.until("responses_total", 2, type="eds")
        assert here.value("change_to_push_seconds_count") == 1
    assert here.value("streams", variant=variant) == 0


async def test_over_tls() -> None:
    """As it is served."""
    ca = trustme.CA()
    leaf = ca.issue_cert("127.0.0.1")
    pair = (leaf.private_key_pem.bytes(), b"".join(each.bytes() for each in leaf.cert_chain_pems))
    async with (
        world(credentials=grpc.ssl_server_credentials([pair])) as here,
        Caller(here.port, ca=ca.cert_pem.bytes()) as caller,
    ):
        here.put("1")
        await caller.ask("a")
        assert await caller.hear() == "a=1"


async def test_who_does_not_say_who_it_is_is_told_so() -> None:
    """With the status and the words of whoever decides."""
    async with world() as here, Caller(here.port, name=None) as caller:
        assert await caller.ended() == (grpc.StatusCode.UNAUTHENTICATED, "who are you?")
        assert here.value("turned_away_total", reason="authentication") == 1
        assert here.server.streams == 0


async def test_nobody_waits_for_ever_to_be_let_in() -> None:
    """Who decides may be gone."""
    async with world(Limits(authentication_seconds=0.01)) as here, Caller(here.port, name="slow") as caller:
        assert (await caller.ended())[0] is grpc.StatusCode.UNAVAILABLE
        assert here.value("turned_away_total", reason="authentication-timeout") == 1


async def test_a_pod_has_so_many_streams() -> None:
    """Another pod has its own, and what has ended does not count."""
    async with world(Limits(streams_per_pod=1)) as here:
        async with Caller(here.port, name="one") as first, Caller(here.port, name="two") as other:
            here.put("1")
            for caller in (first, other):
                await caller.ask("a")
                assert await caller.hear() == "a=1"
            async with Caller(here.port, name="one") as second:
                assert (await second.ended())[0] is grpc.StatusCode.RESOURCE_EXHAUSTED
        await here.until("streams_ended_total", 2, reason="client")
        async with Caller(here.port, name="one") as again:
            await again.ask("a")
            assert await again.hear() == "a=1"


@pytest.mark.parametrize(
    ("message", "status", "reason"),
    [
        (b"\xff\xff\xff", grpc.StatusCode.INVALID_ARGUMENT, "malformed"),
        (
            discovery_pb2.DeltaDiscoveryRequest(
                type_url=EDS, resource_names_subscribe=map(str, range(9))
            ).SerializeToString(),
            grpc.StatusCode.RESOURCE_EXHAUSTED,
            "too-much",
        ),
    ],
    ids=["malformed", "too-much"],
)
async def test_what_no_client_sends_ends_its_stream(message: bytes, status: grpc.StatusCode, reason: str) -> None:
    """And no other."""
    async with world(Limits(names=8)) as here, Caller(here.port) as good, Caller(here.port) as bad:
        await bad.call.write(message)
        assert (await bad.ended())[0] is status
        assert here.value("streams_ended_total", reason=reason) == 1
        here.put("1")
        await good.ask("a")
        assert await good.hear() == "a=1"


async def test_a_request_that_is_too_large_is_not_read() -> None:
    """GRPC ends the stream."""
    async with world(Limits(request_bytes=1000)) as here, Caller(here.port) as caller:
        await caller.call.write(bytes(2000))
        assert (await caller.ended())[0] is grpc.StatusCode.RESOURCE_EXHAUSTED


async def test_who_refuses_is_logged_and_nobody_else_is_concerned(capsys: pytest.CaptureFixture[str]) -> None:
    """One line with the client's reason; the others have it."""
    async with world() as here, Caller(here.port, name="picky") as picky, Caller(here.port) as other:
        here.put("1")
        for caller in (picky, other):
            await caller.ask("a")
        await picky.ask(nonce=(await picky.read()).nonce, error="no such thing")
        assert await other.hear() == "a=1"
        await here.until("nacks_total", 1, type="eds")
        here.put("2")
        assert [await picky.hear(), await other.hear()] == ["a=2", "a=2"]

    printed = capsys.readouterr().out
    assert printed.count("response refused") == 1
    assert all(word in printed for word in ("picky", "no such thing", "eds"))


async def test_who_never_answers_delays_nobody_and_is_counted() -> None:
    """It is told nothing more; whoever answers is."""
    async with world(Limits(slow_seconds=0.0)) as here, Caller(here.port) as mute, Caller(here.port) as other:
        here.put("1")
        await mute.ask("a")
        await mute.read()
        await other.ask("a")
        assert await other.hear() == "a=1"
        for content in "234":
            here.put(content)
            assert await other.hear() == f"a={content}"

        await here.until("slow_streams", 1)
        assert here.value("responses_total", type="eds") == 5


async def test_who_never_reads_delays_nobody_and_keeps_its_place() -> None:
    """Its window is shut: one response waits for it, and what changes meanwhile is no second one."""
    async with world(Limits(slow_seconds=0.0)) as here, Caller(here.port) as other:
        here.put("1")
        await other.ask("a")
        assert await other.hear() == "a=1"
        request = discovery_pb2.DeltaDiscoveryRequest(type_url=EDS, resource_names_subscribe=["a"])
        here.server._authenticate = _anybody
        stuck = await call_and_never_read(here.port, DELTA, request.SerializeToString())
        await here.until("slow_streams", 1)
        for content in "234":
            here.put(content)
            assert await other.hear() == f"a={content}"
        assert here.server.streams == 2
        assert here.value("responses_total", type="eds") == 4
        stuck.close()
        await here.until("streams_ended_total", 1, reason="client")


async def _anybody(_metadata: Mapping[str, str], _peer: str) -> Client:
    return Client(Identity("shop", "stuck"))


async def test_who_disconnects_amid_a_push_leaves_nothing_behind() -> None:
    """Neither a stream nor a subscription nor a count; the others hear of everything."""
    async with world() as here, Caller(here.port) as other:
        here.put("1" * 10_000)
        await other.ask("a")
        await other.hear()
        for number in range(20):
            caller = Caller(here.port, name=f"gone-{number}")
            await caller.ask("a")
            if number % 2:
                await caller.read()
            here.put(str(number) * 10_000)
            caller.call.cancel()
            await caller._channel.close()
        here.put("last")
        async with asyncio.timeout(LIMIT):
            while await other.hear() != "a=last":
                pass
        await here.until("streams_ended_total", 20, reason="client")
        assert here.server.streams == 1
        assert len(here.server._subscriptions.of(EDS, "a")) == 1
        assert len(here.server._of_pods) == 1


async def test_a_client_may_end_its_side() -> None:
    """All is well then."""
    async with world() as here, Caller(here.port) as caller:
        await caller.call.done_writing()
        assert (await caller.ended())[0] is grpc.StatusCode.OK


async def test_a_flood_is_read_as_fast_as_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The rest waits at the client; others are served."""
    waits: list[float] = []
    async with world(Limits(burst=2, requests_per_second=1000.0)) as here, Caller(here.port) as caller:
        sleep = asyncio.sleep

        async def note(seconds: float) -> None:
            waits.append(seconds)
            await sleep(0)

        monkeypatch.setattr("webhook.xds.stream.asyncio.sleep", note)
        here.put("1")
        for _ in range(50):
            await caller.ask("a")
        assert await caller.hear() == "a=1"
        monkeypatch.undo()
    assert waits


async def test_a_stream_lives_as_long_as_its_client_may() -> None:
    """It ends in peace, so that the client comes again with another token."""
    async with world() as here, Caller(here.port, name="brief") as caller:
        assert (await caller.ended())[0] is grpc.StatusCode.OK
        assert here.value("streams_ended_total", reason="lifetime") == 1


async def test_the_server_ends_its_streams_in_peace_and_lets_nobody_in() -> None:
    """One after the other, so that another replica is not stormed."""
    async with world() as here:
        callers = [Caller(here.port, name=str(number)) for number in range(4)]
        here.put("1")
        for caller in callers:
            await caller.ask("a")
            await caller.hear()
        await here.server.stop(0.02)
        assert {(await caller.ended())[0] for caller in callers} == {grpc.StatusCode.OK}
        assert here.value("streams_ended_total", reason="shutdown") == 4
        await here.server.wait()
        for caller in callers:
            await caller._channel.close()
