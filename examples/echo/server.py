#!/usr/bin/env python3
"""A gRPC server that stands in for the examples' servers: it answers any method and says which pod it is.

Methods named ServerStream, ClientStream and Bidi (of any service) stream; every other method is unary.
Requests are read as bytes; a reply is a JSON document:

    {"pod": ..., "address": ..., "method": ..., "authority": ..., "received": bytes, "message": number}

A caller shapes the answer with request metadata:

    echo-reply-bytes   pad the reply to this many bytes
    echo-messages      how many messages a ServerStream sends (1)
    echo-interval-ms   pause between two messages of a stream (0)
    echo-sleep-ms      pause before the first answer (0)
    echo-status        fail with this status, by name or number

Environment: ECHO_PORT (or the first argument; 50051), ECHO_HOST (0.0.0.0), ECHO_GRACE (5 seconds), POD_NAME, POD_IP.
"""

from __future__ import annotations

import json
import logging
import os
import signal
import socket
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from threading import Event
from typing import TYPE_CHECKING, Any, Final

import grpc

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

log = logging.getLogger("echo")

SERVING: Final = b"\x08\x01"
"""HealthCheckResponse{status: SERVING}, written by hand: it has one field."""
NOT_SERVING: Final = b"\x08\x02"

THREADS: Final = 2048
"""How many calls may be under way; a thread is only started when none is idle."""

# The default refuses calls at random when more than a thousand arrive at once.
OPTIONS: Final = (
    ("grpc.so_reuseport", 0),
    ("grpc.server.max_pending_requests", 100_000),
    ("grpc.server.max_pending_requests_hard_limit", 100_000),
    ("grpc.max_receive_message_length", -1),
    ("grpc.max_send_message_length", -1),
)


@dataclass(frozen=True, slots=True)
class Settings:
    """Where the server listens and who it says it is."""

    host: str
    port: int
    pod: str
    address: str
    grace: float


def load_settings(env: Mapping[str, str], arguments: list[str]) -> Settings:
    """Read the settings from the environment and the command line."""
    host = env.get("ECHO_HOST", "0.0.0.0")  # noqa: S104  a pod's port is reached from outside
    port = env.get("ECHO_PORT") or (arguments[0] if arguments else "50051")
    return Settings(
        host=host,
        port=int(port),
        pod=env.get("POD_NAME") or socket.gethostname(),
        address=env.get("POD_IP") or own_address(host),
        grace=float(env.get("ECHO_GRACE", "5")),
    )


def own_address(host: str) -> str:
    """Return the address that others reach this machine by; nothing is sent to find it."""
    if host not in {"0.0.0.0", "::"}:  # noqa: S104
        return host
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
        except OSError:  # a pod without a default route: its name stands in its own /etc/hosts
            return socket.gethostbyname(socket.gethostname())
        return str(probe.getsockname()[0])


@dataclass(frozen=True, slots=True)
class Wishes:
    """What a caller's metadata asks of the answer."""

    reply_bytes: int = 0
    messages: int = 1
    interval_ms: int = 0
    sleep_ms: int = 0
    status: grpc.StatusCode | None = None


def read_wishes(metadata: Iterable[tuple[str, str | bytes]]) -> Wishes:
    """Read the echo-* metadata; a ValueError names what cannot be used."""
    values: dict[str, Any] = {}
    for key, value in metadata:
        if not key.startswith("echo-"):
            continue
        name = key.removeprefix("echo-").replace("-", "_")
        if name not in Wishes.__slots__:
            raise ValueError(f"unknown metadata {key}")
        values[name] = read_status(str(value)) if name == "status" else read_number(key, str(value))
    return Wishes(**values)


def read_number(key: str, text: str) -> int:
    """Read a number that is not negative."""
    if not text.isdecimal():
        raise ValueError(f"metadata {key}={text!r}: not a whole number of 0 or more")
    return int(text)


def read_status(text: str) -> grpc.StatusCode:
    """Read a status other than OK by its name or number."""
    for status in grpc.StatusCode:
        if status is not grpc.StatusCode.OK and text.upper() in {status.name, str(status.value[0])}:
            return status
    raise ValueError(f"metadata echo-status={text!r}: not the name or number of a failure")


@dataclass(frozen=True, slots=True)
class Call:
    """One call: who asked for what, and the answers to it."""

    settings: Settings
    method: str
    authority: str
    wishes: Wishes
    ended: Event

    def begin(self, context: Any) -> None:
        """Wait as long as the caller wished, and fail if that was the wish."""
        self.pause(self.wishes.sleep_ms)
        if self.wishes.status is not None:
            context.abort(self.wishes.status, f"{self.settings.pod} was asked to fail")

    def pause(self, milliseconds: int) -> None:
        """Sleep, but no longer than the call lives."""
        if milliseconds:
            self.ended.wait(milliseconds / 1000)

    def reply(self, received: int, message: int = 1) -> bytes:
        """Make one reply, padded to the wished size."""
        document = {
            "pod": self.settings.pod,
            "address": self.settings.address,
            "method": self.method,
            "authority": self.authority,
            "received": received,
            "message": message,
        }
        text = json.dumps(document)
        missing = self.wishes.reply_bytes - len(text)
        if missing > 0:
            padding = "x" * max(0, missing - len(', "padding": ""'))
            text = f'{text[:-1]}, "padding": "{padding}"}}'
        return text.encode()


@dataclass(frozen=True, slots=True)
class Echo:
    """Answers every method; grpc asks `service` who handles a call."""

    settings: Settings
    stopping: Event = field(default_factory=Event)

    def service(self, details: Any) -> Any:
        """Return the handler for the method of a call."""
        if details.method.startswith("/grpc.health.v1.Health/"):
            if details.method.endswith("/Watch"):
                return grpc.unary_stream_rpc_method_handler(self.watch)
            return grpc.unary_unary_rpc_method_handler(lambda _request, _context: SERVING)
        match details.method.rpartition("/")[2]:
            case "ServerStream":
                return grpc.unary_stream_rpc_method_handler(self.server_stream(details))
            case "ClientStream":
                return grpc.stream_unary_rpc_method_handler(self.client_stream(details))
            case "Bidi":
                return grpc.stream_stream_rpc_method_handler(self.bidi(details))
            case _:
                return grpc.unary_unary_rpc_method_handler(self.unary(details))

    def unary(self, details: Any) -> Callable[[bytes, Any], bytes]:
        """Answer one message with one."""

        def handle(request: bytes, context: Any) -> bytes:
            return self.call(details, context).reply(len(request))

        return handle

    def server_stream(self, details: Any) -> Callable[[bytes, Any], Iterator[bytes]]:
        """Answer one message with as many as were wished for."""

        def handle(request: bytes, context: Any) -> Iterator[bytes]:
            call = self.call(details, context)
            for number in range(1, call.wishes.messages + 1):
                yield call.reply(len(request), number)
                if number < call.wishes.messages:
                    call.pause(call.wishes.interval_ms)

        return handle

    def client_stream(self, details: Any) -> Callable[[Iterator[bytes], Any], bytes]:
        """Answer many messages with one that says how many they were."""

        def handle(requests: Iterator[bytes], context: Any) -> bytes:
            call = self.call(details, context)
            sizes = [len(request) for request in requests]
            return call.reply(sum(sizes), len(sizes))

        return handle

    def bidi(self, details: Any) -> Callable[[Iterator[bytes], Any], Iterator[bytes]]:
        """Answer each message with one."""

        def handle(requests: Iterator[bytes], context: Any) -> Iterator[bytes]:
            call = self.call(details, context)
            for number, request in enumerate(requests, 1):
                if number > 1:
                    call.pause(call.wishes.interval_ms)
                yield call.reply(len(request), number)

        return handle

    def watch(self, _request: bytes, context: Any) -> Iterator[bytes]:
        """Say that the server serves, and later that it stops."""
        ended = Event()
        if context.add_callback(ended.set):
            yield SERVING
            while context.is_active() and not self.stopping.wait(timeout=0.2):
                pass
            yield NOT_SERVING

    def call(self, details: Any, context: Any) -> Call:
        """Begin a call, or end it with what its metadata says wrong."""
        try:
            wishes = read_wishes(details.invocation_metadata)
        except ValueError as error:
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, str(error))
            raise
        ended = Event()
        context.add_callback(ended.set)
        call = Call(self.settings, details.method, authority(context), wishes, ended)
        call.begin(context)
        return call


def authority(context: Any) -> str:
    """Return the authority of a call, which the public interface keeps to itself."""
    return str(context._rpc_event.call_details.host.decode())  # noqa: SLF001


def serve(settings: Settings) -> None:
    """Serve until SIGTERM, then let what is under way end within the grace."""
    echo = Echo(settings)
    server = grpc.server(ThreadPoolExecutor(THREADS), options=OPTIONS)
    server.add_generic_rpc_handlers((echo,))
    server.add_insecure_port(f"{settings.host}:{settings.port}")
    # Before any thread starts, so that all of them leave these signals to the wait below.
    ends = {signal.SIGTERM, signal.SIGINT}
    signal.pthread_sigmask(signal.SIG_BLOCK, ends)
    server.start()
    log.info("%s serves on %s:%d", settings.pod, settings.host, settings.port)
    signal.sigwait(ends)
    log.info("%s stops", settings.pod)
    echo.stopping.set()
    server.stop(settings.grace).wait()


def main() -> int:
    """Run the program."""
    logging.basicConfig(stream=sys.stdout, level=logging.INFO, format="%(asctime)s %(message)s")
    try:
        serve(load_settings(os.environ, sys.argv[1:]))
    except (RuntimeError, ValueError, OSError) as error:
        log.error("the server cannot start: %s", error)  # noqa: TRY400  one sentence says it
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
