"""The aggregated discovery service: lets clients in and tells them of changes."""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any, Final

import grpc

from webhook.xds.client import Anonymous, Authenticate, Client, NotServed
from webhook.xds.identity import Identity
from webhook.xds.limits import Limits
from webhook.xds.metrics import Ending, TurnedAway, Variant, XdsMetrics
from webhook.xds.refused import RefusedLog
from webhook.xds.session import Delta, Malformed, Session, StateOfTheWorld, TooMuch
from webhook.xds.source import Source
from webhook.xds.stream import Stream
from webhook.xds.subscriptions import Subscriptions

_SERVICE: Final = "envoy.service.discovery.v3.AggregatedDiscoveryService"
_OPTIONS: Final = {
    # A node that is gone says nothing: its connections end within a minute.
    "grpc.keepalive_time_ms": 30_000,
    "grpc.keepalive_timeout_ms": 20_000,
    "grpc.keepalive_permit_without_calls": 1,
    "grpc.http2.max_pings_without_data": 0,
    # Clients may ask in turn whether we are there.
    "grpc.http2.min_ping_interval_without_data_ms": 5_000,
    "grpc.server_handshake_timeout_ms": 20_000,
    "grpc.max_connection_idle_ms": 60_000,
    "grpc.max_concurrent_streams": 250,
    # So that clients find replicas that have come since: the next stream is on another connection. This one stays.
    "grpc.max_connection_age_ms": 1_800_000,
    "grpc.max_connection_age_grace_ms": 4_500_000,
    # Two servers on one port would share the clients silently.
    "grpc.so_reuseport": 0,
}


class AdsServer:
    """Serves sources to clients that are let in. To be used on one event loop."""

    def __init__(
        self,
        sources: Mapping[str, Source],
        authenticate: Authenticate,
        metrics: XdsMetrics,
        *,
        limits: Limits | None = None,
        anonymous: Anonymous | None = None,
    ) -> None:
        """Take what is served, to whom; without `anonymous` a client that shows no token is `authenticate`'s too."""
        self._sources = sources
        self._authenticate = authenticate
        self._anonymous = anonymous
        self._metrics = metrics
        self._limits = limits or Limits()
        self._log = RefusedLog()
        self._subscriptions: Subscriptions[Stream] = Subscriptions()
        self._streams: dict[Stream, None] = {}
        self._of_pods: Counter[tuple[str, str]] = Counter()
        self._ending = False
        options = {**_OPTIONS, "grpc.max_receive_message_length": self._limits.request_bytes}
        self._server = grpc.aio.server(options=list(options.items()), maximum_concurrent_rpcs=self._limits.streams)
        self._server.add_generic_rpc_handlers((self._handlers(),))
        metrics.follow(self._slow)

    @property
    def streams(self) -> int:
        """Count the connected streams."""
        return len(self._streams)

    async def listen(self, address: str, credentials: grpc.ServerCredentials | None) -> int:
        """Serve at an address, such as `[::]:18000`; give the port. Without credentials it is cleartext."""
        port: int = (
            self._server.add_insecure_port(address)
            if credentials is None
            else self._server.add_secure_port(address, credentials)
        )
        await self._server.start()
        return port

    async def wait(self) -> None:
        """Wait until it has ended."""
        await self._server.wait_for_termination()

    async def stop(self, seconds: float) -> None:
        """Let nobody in and end the streams one after the other, spread over so many seconds."""
        self._ending = True
        stopping = asyncio.create_task(self._server.stop(seconds + 1.0), name="stop the ADS server")
        streams = tuple(self._streams)
        for stream in streams:
            stream.end(Ending.SHUTDOWN)
            await asyncio.sleep(seconds / len(streams))
        await stopping

    def changed(self, type_url: str, names: Iterable[str], *, since: float | None = None) -> None:
        """Tell the clients that want these names, which may be others now; `since` is by time.monotonic."""
        when = time.monotonic() if since is None else since
        for name in names:
            for stream in self._subscriptions.of(type_url, name):
                stream.changed(type_url, name, when)

    def _handlers(self) -> grpc.GenericRpcHandler:
        # Without serializers gRPC hands over bytes.
        methods = {
            "StreamAggregatedResources": grpc.stream_stream_rpc_method_handler(self._state_of_the_world),
            "DeltaAggregatedResources": grpc.stream_stream_rpc_method_handler(self._delta),
        }
        return grpc.method_handlers_generic_handler(_SERVICE, methods)

    async def _state_of_the_world(self, _: Any, context: Any) -> None:
        await self._serve(Variant.SOTW, StateOfTheWorld, context)

    async def _delta(self, _: Any, context: Any) -> None:
        await self._serve(Variant.DELTA, Delta, context)

    async def _serve(self, variant: Variant, kind: type[Session], context: Any) -> None:
        """Serve one stream to its end; what goes wrong in it stays in it."""
        try:
            client, first = await self._let_in(kind, context)
        except NotServed as error:
            await context.abort(error.status, str(error))
            return
        session = kind(client.identity, self._sources, self._limits)
        stream = Stream(session, context, self._subscriptions, self._metrics, self._log, self._limits, first)
        problem = await self._run(variant, stream, self._life(client))
        if problem is not None:
            await context.abort(*problem)

    async def _let_in(self, kind: type[Session], context: Any) -> tuple[Client, bytes | None]:
        """Find out who a client is, and whether there is room for it; raises NotServed.

        Gives also the first request where it had to be read for that.
        """
        if self._ending:
            self._metrics.turned_away(TurnedAway.ENDING)
            raise NotServed(grpc.StatusCode.UNAVAILABLE, "this server is ending: come again, to another")
        try:
            async with asyncio.timeout(self._limits.authentication_seconds):
                client, first = await self._known(kind, context)
        except NotServed:
            self._metrics.turned_away(TurnedAway.AUTHENTICATION)
            raise
        except TimeoutError as error:
            self._metrics.turned_away(TurnedAway.TIMEOUT)
            raise NotServed(grpc.StatusCode.UNAVAILABLE, "it took too long to find out who you are") from error
        if self._of_pods[_pod(client.identity)] >= self._limits.streams_per_pod:
            self._metrics.turned_away(TurnedAway.TOO_MANY)
            raise NotServed(
                grpc.StatusCode.RESOURCE_EXHAUSTED, f"a Pod may have {self._limits.streams_per_pod} streams"
            )
        return client, first

    async def _known(self, kind: type[Session], context: Any) -> tuple[Client, bytes | None]:
        metadata, peer = dict(context.invocation_metadata()), context.peer()
        if self._anonymous is None or metadata.get("authorization"):
            return await self._authenticate(metadata, peer), None
        first = await context.read()
        if first is grpc.aio.EOF:
            raise NotServed(grpc.StatusCode.UNAUTHENTICATED, "there was neither a token nor a request")
        try:
            node = kind.node(first)
        except Malformed as error:
            raise NotServed(grpc.StatusCode.INVALID_ARGUMENT, str(error)) from error
        return await self._anonymous(peer, node), first

    async def _run(self, variant: Variant, stream: Stream, seconds: float) -> tuple[grpc.StatusCode, str] | None:
        """Run a stream and count it; give the status that it must end with, or None where all is well."""
        pod, why = _pod(stream.session.client), Ending.BUG
        self._streams[stream] = None
        self._of_pods[pod] += 1
        self._metrics.begun(variant)
        try:
            why = await stream.run(seconds)
        except asyncio.CancelledError:
            why = Ending.SHUTDOWN if self._ending else Ending.CLIENT
            raise
        except Malformed as error:
            why = Ending.MALFORMED
            return grpc.StatusCode.INVALID_ARGUMENT, str(error)
        except TooMuch as error:
            why = Ending.TOO_MUCH
            return grpc.StatusCode.RESOURCE_EXHAUSTED, str(error)
        finally:
            del self._streams[stream]
            self._of_pods.subtract((pod,))
            if not self._of_pods[pod]:
                del self._of_pods[pod]
            self._metrics.ended(variant, why)
        return None

    def _life(self, client: Client) -> float:
        longest = self._limits.stream_seconds * random.uniform(0.9, 1.0)  # noqa: S311 - to spread, not to hide
        return longest if client.seconds is None else min(longest, client.seconds)

    def _slow(self) -> int:
        now = time.monotonic()
        return sum(stream.slow(now) for stream in self._streams)


def _pod(identity: Identity) -> tuple[str, str]:
    return identity.namespace, identity.pod
