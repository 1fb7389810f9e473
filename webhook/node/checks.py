"""The single acts of a probe or a lifecycle hook: an HTTP request, a connection, a gRPC health check, a command."""

import asyncio
import contextlib
import ssl
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import grpc

from webhook.node.errors import NodeError

_KINDS: Final = ("httpGet", "tcpSocket", "grpc", "exec", "sleep")
_HEALTH: Final = "/grpc.health.v1.Health/Check"
_SERVING: Final = b"\x08\x01"
_GOOD: Final = range(200, 400)


@dataclass(frozen=True, slots=True)
class Target:
    """The container to be asked."""

    address: str
    """The Pod's: the node asks from outside, so what listens on 127.0.0.1 is not found."""
    ports: Mapping[str, int]
    execute: Callable[[list[str]], Awaitable[tuple[int, str]]]

    def port(self, value: object) -> int:
        """Give a port's number from a number or a declared name; NodeError if there is no such name."""
        if isinstance(value, int) or str(value).isdecimal():
            return int(str(value))
        if str(value) not in self.ports:
            known = ", ".join(sorted(self.ports)) or "none"
            raise NodeError(f"port {value!r} is not declared by the container; declared are: {known}")
        return self.ports[str(value)]


async def perform(action: Mapping[str, Any], target: Target) -> str | None:
    """Do what a probe or hook says; None if it went well, else what did not. Has no time limit of its own."""
    kind = next((key for key in _KINDS if key in action), None)
    if kind is None:
        return f"nothing to do in {sorted(action)}; known are {', '.join(_KINDS)}"
    try:
        return await _ACTS[kind](action[kind] or {}, target)
    except (OSError, EOFError, ValueError, NodeError) as error:
        return f"{kind}: {error}"


async def _http(spec: Mapping[str, Any], target: Target) -> str | None:
    host, port = spec.get("host") or target.address, target.port(spec["port"])
    context = _unverified() if spec.get("scheme") == "HTTPS" else None
    reader, writer = await asyncio.open_connection(host, port, ssl=context)
    try:
        writer.write(_request(spec, host, port))
        await writer.drain()
        status = (await reader.readline()).split()
    finally:
        await _hang_up(writer)
    if len(status) < 2 or not status[1].isdigit():  # noqa: PLR2004  # version and code
        return f"httpGet {host}:{port}: no HTTP answer"
    return None if int(status[1]) in _GOOD else f"httpGet {host}:{port}: answered {int(status[1])}"


def _request(spec: Mapping[str, Any], host: str, port: int) -> bytes:
    path = spec.get("path") or "/"
    headers = {"Host": f"{host}:{port}", "User-Agent": "kube-probe/1.34", "Accept": "*/*", "Connection": "close"}
    headers |= {header["name"]: header["value"] for header in spec.get("httpHeaders") or ()}
    lines = [f"GET {path if path.startswith('/') else '/' + path} HTTP/1.1"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode()


def _unverified() -> ssl.SSLContext:
    # As the kubelet: a probe asks whether somebody answers, not who.
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


async def _tcp(spec: Mapping[str, Any], target: Target) -> str | None:
    _, writer = await asyncio.open_connection(spec.get("host") or target.address, target.port(spec["port"]))
    await _hang_up(writer)
    return None


async def _hang_up(writer: asyncio.StreamWriter) -> None:
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()


async def _grpc(spec: Mapping[str, Any], target: Target) -> str | None:
    name = str(spec.get("service") or "").encode()
    place = f"{target.address}:{target.port(spec['port'])}"
    async with grpc.aio.insecure_channel(place, options=[("grpc.enable_http_proxy", 0)]) as channel:
        call = channel.unary_unary(_HEALTH, request_serializer=None, response_deserializer=None)
        try:
            # HealthCheckRequest and its answer have one field each: not worth generated code.
            answer: bytes = await call(b"\x0a" + bytes([len(name)]) + name if name else b"")
        except grpc.aio.AioRpcError as error:
            return f"grpc {place}: {error.code().name}: {error.details()}"
    return None if answer == _SERVING else f"grpc {place}: not serving"


async def _exec(spec: Mapping[str, Any], target: Target) -> str | None:
    code, output = await target.execute(list(spec["command"]))
    return None if code == 0 else f"exec: exit code {code}: {output[-200:].strip()}"


async def _sleep(spec: Mapping[str, Any], _target: Target) -> str | None:
    await asyncio.sleep(float(spec.get("seconds") or 0))
    return None


_ACTS: Final[dict[str, Callable[[Mapping[str, Any], Target], Awaitable[str | None]]]] = {
    "httpGet": _http,
    "tcpSocket": _tcp,
    "grpc": _grpc,
    "exec": _exec,
    "sleep": _sleep,
}
