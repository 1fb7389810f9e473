#!/usr/bin/env python3
"""A gRPC caller that stands in for the examples' clients, told what to do over HTTP.

It keeps one channel for each target and authority for as long as it lives, as an ordinary application does.

    GET /              200, so that a probe has something to ask
    GET /NAME          fifteen calls to the backend NAME, and who answered each
    POST /run          make calls, answer when all are done
    POST /load         the same in the background, under a "name", until it is deleted
    GET /load/NAME     how far that is
    DELETE /load/NAME  stop it, wait for the calls under way, and answer like GET

The body of a POST, every key optional (but a load's "name"; "rpcs" is for /run, 0 there means none):

    {"target": "localhost:9001", "authority": null, "method": "/echo.EchoServer/SayHello", "rpcs": 1000,
     "rate": 0, "concurrency": 8, "deadline_seconds": 10, "metadata": {}, "request_bytes": 16, "messages": 1}

A rate of 0 is as fast as the concurrency allows; a deadline of null is none. Methods named ServerStream,
ClientStream and Bidi stream, the latter two sending as many "messages".

Environment: the target is $HOGE_APP_ADDRESS, $BACKEND_ADDRESS or $SERVER_DOMAIN:$SERVER_PORT; backends are
the authorities of the list BACKENDS, called at the target, and every $NAME_ADDR, a target itself;
ECHO_CONTROL_PORT (8080) and ECHO_CONTROL_HOST (0.0.0.0) are where to listen; with ECHO_EVERY, a call of
ECHO_METHOD is made every so many seconds and its answer logged.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
import sys
import time
from array import array
from collections import Counter
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any, Final

import grpc
import grpc.aio

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Mapping

log = logging.getLogger("gateway")

STOP_SECONDS: Final = 10.0
"""How long a stopped load's calls without a deadline may still take."""

METHOD: Final = "/echo.EchoServer/SayHello"

OTHER_ERRORS: Final = 50
"""As many different error messages are told apart; the rest are counted by their status."""

LISTED_CALLS: Final = 15
"""How many calls `GET /NAME` makes."""


@dataclass(frozen=True, slots=True)
class Spec:
    """What calls to make."""

    target: str
    authority: str | None = None
    method: str = METHOD
    rpcs: int | None = 1000
    rate: float = 0.0
    concurrency: int = 8
    deadline_seconds: float | None = 10.0
    metadata: Mapping[str, str] = field(default_factory=dict)
    request_bytes: int = 16
    messages: int = 1


def read_spec(document: Mapping[str, Any], target: str) -> Spec:
    """Make a Spec of a request's body; a ValueError names every key that is none of it."""
    unknown = sorted(set(document) - {each.name for each in fields(Spec)})
    if unknown:
        raise ValueError(f"unknown keys: {', '.join(unknown)}")
    spec = Spec(**{"target": target, **document})
    if not spec.target:
        raise ValueError("no target: give one, or set HOGE_APP_ADDRESS, BACKEND_ADDRESS or SERVER_DOMAIN")
    if spec.concurrency < 1 or spec.rate < 0 or spec.messages < 0 or (spec.rpcs or 0) < 0:
        raise ValueError("concurrency must be 1 or more; rate, rpcs and messages 0 or more")
    return spec


@dataclass(slots=True)
class Tally:
    """What became of the calls made so far."""

    started: float = field(default_factory=time.time)
    ended: float | None = None
    rpcs: int = 0
    done: int = 0
    failed: int = 0
    messages: int = 0
    backends: Counter[str] = field(default_factory=Counter)
    pods: Counter[str] = field(default_factory=Counter)
    errors: Counter[str] = field(default_factory=Counter)
    first_seen: dict[str, float] = field(default_factory=dict)
    last_seen: dict[str, float] = field(default_factory=dict)
    first_error: float | None = None
    last_error: float | None = None
    latencies: array[float] = field(default_factory=lambda: array("d"))

    def succeed(self, reply: Mapping[str, Any], messages: int, seconds: float) -> None:
        """Count a call that was answered."""
        address = str(reply.get("address", "?"))
        now = time.time()
        self.done += 1
        self.messages += messages
        self.backends[address] += 1
        self.pods[str(reply.get("pod", "?"))] += 1
        self.first_seen.setdefault(address, now)
        self.last_seen[address] = now
        self.latencies.append(seconds)

    def fail(self, status: str, message: str) -> None:
        """Count a call that failed."""
        self.done += 1
        self.failed += 1
        self.last_error = time.time()
        self.first_error = self.first_error or self.last_error
        error = f"{status}: {message}"
        if error not in self.errors and len(self.errors) >= OTHER_ERRORS:
            error = f"{status}: (other messages)"
        self.errors[error] += 1

    def document(self) -> dict[str, Any]:
        """Return everything as JSON."""
        ordered = sorted(self.latencies)
        return {
            "rpcs": self.rpcs,
            "failed": self.failed,
            "under_way": self.rpcs - self.done,
            "messages": self.messages,
            "backends": dict(sorted(self.backends.items())),
            "pods": dict(sorted(self.pods.items())),
            "errors": dict(self.errors),
            "first_error": self.first_error,
            "last_error": self.last_error,
            "seconds": round((self.ended or time.time()) - self.started, 3),
            "latency_ms": {
                "p50": quantile(ordered, 0.5),
                "p99": quantile(ordered, 0.99),
                "max": quantile(ordered, 1),
            },
            "first_seen": self.first_seen,
            "last_seen": self.last_seen,
        }


def quantile(ordered: list[float], share: float) -> float | None:
    """Return a quantile of sorted seconds in milliseconds."""
    if not ordered:
        return None
    return round(ordered[min(len(ordered) - 1, int(share * len(ordered)))] * 1000, 3)


class Channels:
    """One channel for each target and authority, kept for good."""

    def __init__(self) -> None:
        self._channels: dict[tuple[str, str | None], Any] = {}

    def get(self, target: str, authority: str | None) -> Any:
        """Return the channel, made at the first use."""
        key = (target, authority)
        if key not in self._channels:
            options: list[tuple[str, str | int]] = [
                ("grpc.max_receive_message_length", -1),
                ("grpc.max_send_message_length", -1),
            ]
            if authority is not None:
                options.append(("grpc.default_authority", authority))
            self._channels[key] = grpc.aio.insecure_channel(target, options=options)
        return self._channels[key]

    async def close(self) -> None:
        """Close all channels at once, without waiting for calls."""
        for channel in self._channels.values():
            await channel.close()


class Caller:
    """Makes the calls of one Spec over one channel."""

    def __init__(self, spec: Spec, channel: Any) -> None:
        self._spec = spec
        self._request = b"x" * spec.request_bytes
        self._options = {
            "timeout": spec.deadline_seconds,
            "metadata": tuple(spec.metadata.items()) or None,
            "wait_for_ready": False,
        }
        streams = {
            "ServerStream": (channel.unary_stream, self._server_stream),
            "ClientStream": (channel.stream_unary, self._client_stream),
            "Bidi": (channel.stream_stream, self._bidi),
        }
        name = spec.method.rpartition("/")[2]
        make, self.call = streams.get(name, (channel.unary_unary, self._unary))
        self._rpc = make(spec.method)

    async def _unary(self) -> tuple[bytes, int]:
        """Send one message, get one."""
        return await self._rpc(self._request, **self._options), 1

    async def _server_stream(self) -> tuple[bytes, int]:
        return await self._read(self._rpc(self._request, **self._options))

    async def _client_stream(self) -> tuple[bytes, int]:
        return await self._rpc(self._requests(), **self._options), 1

    async def _bidi(self) -> tuple[bytes, int]:
        return await self._read(self._rpc(self._requests(), **self._options))

    async def _read(self, replies: AsyncIterator[bytes]) -> tuple[bytes, int]:
        last, messages = b"{}", 0
        async for last in replies:  # noqa: B007  the last one is what counts
            messages += 1
        return last, messages

    def _requests(self) -> Iterator[bytes]:
        return (self._request for _ in range(self._spec.messages))


class Load:
    """Calls at a pace, until there were enough of them or it is stopped."""

    def __init__(self, spec: Spec, channels: Channels) -> None:
        self.tally = Tally()
        self._spec = spec
        self._caller = Caller(spec, channels.get(spec.target, spec.authority))
        self._free = asyncio.Semaphore(spec.concurrency)
        self._under_way: set[asyncio.Task[None]] = set()
        self._starting: asyncio.Task[None] | None = None

    async def run(self) -> None:
        """Make all calls and wait for them."""
        await self._start_calls()
        await self._finish(None)

    def begin(self) -> None:
        """Start in the background."""
        self._starting = asyncio.create_task(self._start_calls(), name="load")

    async def stop(self) -> None:
        """Start no more calls and wait for those under way."""
        if self._starting is not None:
            self._starting.cancel()
            await asyncio.gather(self._starting, return_exceptions=True)
        await self._finish(STOP_SECONDS if self._spec.deadline_seconds is None else None)

    async def _start_calls(self) -> None:
        """Start each call at its time; one that is late is made as soon as it can be, none is left out."""
        due = time.monotonic()
        while self._spec.rpcs is None or self.tally.rpcs < self._spec.rpcs:
            await self._free.acquire()
            if self._spec.rate:
                await asyncio.sleep(max(0.0, due - time.monotonic()))
                # Without the bound, what a stall held back would arrive as one burst.
                due = max(due, time.monotonic() - 1) + 1 / self._spec.rate
            self.tally.rpcs += 1
            task = asyncio.create_task(self._call())
            self._under_way.add(task)
            task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._under_way.discard(task)
        self._free.release()

    async def _call(self) -> None:
        """Make one call and count what became of it."""
        begin = time.perf_counter()
        try:
            reply, messages = await self._caller.call()
            document = json.loads(reply)
        except grpc.aio.AioRpcError as error:
            self.tally.fail(error.code().name, error.details() or "")
        except asyncio.CancelledError:
            self.tally.fail("CANCELLED", "still under way when the load was stopped")
        except Exception as error:  # noqa: BLE001  a call that started is counted whatever became of it
            self.tally.fail("UNKNOWN", f"{type(error).__name__}: {error}")
        else:
            self.tally.succeed(document, messages, time.perf_counter() - begin)

    async def _finish(self, patience: float | None) -> None:
        """Wait for the calls under way; when the patience is over, cancel them."""
        if self._under_way:
            _, late = await asyncio.wait(self._under_way, timeout=patience)
            for task in late:
                task.cancel()
            await asyncio.gather(*late)
        self.tally.ended = time.time()


@dataclass(frozen=True, slots=True)
class Settings:
    """Where to listen, whom to call, and what to do unasked."""

    host: str
    port: int
    target: str
    backends: Mapping[str, tuple[str, str | None]]
    """Target and authority by name."""
    method: str
    every: float | None


def load_settings(env: Mapping[str, str]) -> Settings:
    """Read the settings from the environment."""
    target = env.get("HOGE_APP_ADDRESS") or env.get("BACKEND_ADDRESS") or ""
    if not target and "SERVER_DOMAIN" in env:
        target = f"{env['SERVER_DOMAIN']}:{env.get('SERVER_PORT', '12345')}"
    authorities = [each.strip() for each in env.get("BACKENDS", "").split(",") if each.strip()]
    return Settings(
        host=env.get("ECHO_CONTROL_HOST", "0.0.0.0"),  # noqa: S104  a pod's port is reached from outside
        port=int(env.get("ECHO_CONTROL_PORT", "8080")),
        target=target,
        backends={
            **{authority.partition(":")[0]: (target, authority) for authority in authorities},
            **{name: (address, None) for name, address in read_addresses(env)},
        },
        method=env.get("ECHO_METHOD", METHOD),
        every=float(env["ECHO_EVERY"]) if "ECHO_EVERY" in env else None,
    )


def read_addresses(env: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Give name and target of each `NAME_ADDR`; what Kubernetes adds of that form for Services has no port."""
    for key, value in env.items():
        name = key.removesuffix("_ADDR")
        if name != key and ":" in value:
            yield name.lower(), value


class Answer(Exception):
    """Ends a request with a status and a document."""

    def __init__(self, status: int, body: object) -> None:
        super().__init__(status, body)
        self.status = status
        self.body = body


def read_document(body: bytes) -> dict[str, Any]:
    """Read a request's body; nothing is an empty document."""
    try:
        document = json.loads(body or b"{}")
    except ValueError as error:
        raise Answer(400, {"error": f"the body is no JSON: {error}"}) from error
    if not isinstance(document, dict):
        raise Answer(400, {"error": f"the body is no JSON object: {document!r}"})
    return document


class Gateway:
    """What can be asked of this program."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._channels = Channels()
        self._loads: dict[str, Load] = {}

    async def answer(self, method: str, path: str, body: bytes) -> object:
        """Answer one request with a JSON document or a text."""
        match method, path.strip("/").split("/"):
            case "GET", [""]:
                return f"ok, calling {self._settings.target or 'whom I am told to'}\n"
            case "POST", ["run"]:
                return await self._run(self._spec(read_document(body)))
            case "POST", ["load"]:
                return self._begin(read_document(body))
            case "GET", ["load", name]:
                return self._load(name).tally.document()
            case "DELETE", ["load", name]:
                load = self._load(name)
                await load.stop()
                self._loads.pop(name, None)
                return load.tally.document()
            case "GET", [name] if name in self._settings.backends:
                return await self._list_calls(Spec(*self._settings.backends[name], method=self._settings.method))
        raise Answer(404, {"error": f"nothing answers {method} {path}"})

    def _spec(self, document: Mapping[str, Any]) -> Spec:
        try:
            return read_spec(document, self._settings.target)
        except (ValueError, TypeError) as error:
            raise Answer(400, {"error": str(error)}) from error

    async def _run(self, spec: Spec) -> object:
        load = Load(spec, self._channels)
        await load.run()
        return load.tally.document()

    def _begin(self, document: dict[str, Any]) -> object:
        name = document.pop("name", None)
        spec = self._spec({**document, "rpcs": None})
        if not name or name in self._loads:
            raise Answer(400, {"error": f"load {name!r}: has no name, or runs already"})
        self._loads[name] = Load(spec, self._channels)
        self._loads[name].begin()
        return {"name": name}

    def _load(self, name: str) -> Load:
        if name not in self._loads:
            raise Answer(404, {"error": f"no load {name!r}; there are: {', '.join(self._loads) or 'none'}"})
        return self._loads[name]

    async def _list_calls(self, spec: Spec) -> str:
        """Make fifteen calls, one after the other, and list who answered."""
        caller = Caller(spec, self._channels.get(spec.target, spec.authority))
        lines = []
        try:
            for _ in range(LISTED_CALLS):
                reply, _ = await caller.call()
                lines.append(f"Hello unary RPC msg   from hostname {json.loads(reply)['pod']}\n")
        except grpc.aio.AioRpcError as error:
            raise Answer(500, f"Could not get RPC {error.code().name}: {error.details()}\n") from error
        return "".join(lines)

    async def call_unasked(self, every: float | None) -> None:
        """Make a call every so many seconds, if any, and log who answered, whatever becomes of it."""
        if every is None:
            return
        spec = Spec(self._settings.target, method=self._settings.method)
        caller = Caller(spec, self._channels.get(spec.target, None))
        name = spec.method.rpartition("/")[2]
        while True:
            log.info("Start %s", name)
            try:
                reply, _ = await caller.call()
                log.info("%s answered", json.loads(reply).get("pod"))
            except grpc.aio.AioRpcError as error:
                log.info("%s: %s", error.code().name, error.details())
            log.info("End %s", name)
            await asyncio.sleep(every)

    async def close(self) -> None:
        """Give up everything."""
        await self._channels.close()


class Control:
    """The HTTP/1.1 side: one request a connection."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway

    async def connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Read a request, write its answer, close."""
        try:
            request = await read_request(reader)
            if request is None:
                return
            try:
                status, body = 200, await self._gateway.answer(*request)
            except Answer as answer:
                status, body = answer.status, answer.body
            writer.write(response(status, body))
            await writer.drain()
        except (OSError, ValueError, asyncio.IncompleteReadError, asyncio.LimitOverrunError) as error:
            log.info("a control connection broke off: %r", error)
        finally:
            writer.close()


async def read_request(reader: asyncio.StreamReader) -> tuple[str, str, bytes] | None:
    """Return method, path and body of a request; None where nothing came (a TCP probe)."""
    try:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    except asyncio.IncompleteReadError as error:
        if not error.partial:
            return None
        raise
    first, *lines = head.split("\r\n")
    method, path, _ = first.split(" ", 2)
    length = 0
    for line in lines:
        name, _, value = line.partition(":")
        if name.lower() == "content-length":
            length = int(value)
    return method, path, await reader.readexactly(length)


def response(status: int, body: object) -> bytes:
    """Write an answer: a text as it is, anything else as JSON."""
    if isinstance(body, str):
        kind, payload = "text/plain; charset=utf-8", body.encode()
    else:
        kind, payload = "application/json", json.dumps(body).encode() + b"\n"
    reason = {200: "OK", 400: "Bad Request", 404: "Not Found"}.get(status, "Internal Server Error")
    head = f"HTTP/1.1 {status} {reason}\r\nContent-Type: {kind}\r\nContent-Length: {len(payload)}\r\n"
    return f"{head}Connection: close\r\n\r\n".encode() + payload


async def serve(settings: Settings) -> None:
    """Serve until SIGTERM."""
    stopping = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    gateway = Gateway(settings)
    server = await asyncio.start_server(Control(gateway).connected, settings.host, settings.port)
    log.info("control on %s:%d, calling %s", settings.host, settings.port, settings.target or "nobody yet")
    async with asyncio.TaskGroup() as group:
        unasked = group.create_task(gateway.call_unasked(settings.every), name="call unasked")
        await stopping.wait()
        unasked.cancel()
    server.close()
    await gateway.close()


def main() -> int:
    """Run the program."""
    logging.basicConfig(stream=sys.stdout, level=logging.INFO, format="%(asctime)s %(message)s")
    try:
        asyncio.run(serve(load_settings(os.environ)))
    except (OSError, ValueError) as error:
        log.error("the gateway cannot start: %s", error)  # noqa: TRY400  one sentence says it
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
