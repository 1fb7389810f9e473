"""The program `evenkeel xds` in a process of its own, an API server for it, and clients that call it over TLS."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from pathlib import Path
from typing import Any, Final, Self

import grpc
import httpx
import trustme
from aiohttp import web
from envoy.config.endpoint.v3 import endpoint_pb2
from envoy.service.discovery.v3 import discovery_pb2

from tests import builders
from tests.kube.apiserver import ApiServer
from tests.tls.pairs import Folder
from tests.xds.auth import Json, believed
from webhook.kube.resources import ENDPOINT_SLICES, MUTATING_WEBHOOKS, NAMESPACES, SERVICES
from webhook.xds.source import EDS

CA: Final = trustme.CA()
HOST: Final = "127.0.0.1"
SERVER: Final = "evenkeel-xds.evenkeel-system.svc"
"""What sidecars want to see in the certificate."""
_METHOD: Final = "/envoy.service.discovery.v3.AggregatedDiscoveryService/StreamAggregatedResources"
_ROOT: Final = Path(__file__).parents[2]


class Judge(ApiServer):
    """An API server that also judges tokens and knows nodes."""

    def __init__(self) -> None:
        super().__init__()
        self.verdicts: dict[str, Json] = {}
        """By token; every other is that of Pod front-1 in namespace shop."""
        for resource in (SERVICES, NAMESPACES, ENDPOINT_SLICES, MUTATING_WEBHOOKS):
            self._objects.setdefault(resource.path(), {})

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        if request.path == "/apis/authentication.k8s.io/v1/tokenreviews":
            review = await request.json()
            verdict = self.verdicts.get(review["spec"]["token"], believed())
            return web.json_response({**review, "status": verdict}, status=201)
        if request.path.startswith("/api/v1/nodes/"):
            return web.json_response({"metadata": {"labels": {"topology.kubernetes.io/zone": "z1"}}})
        return await super()._handle(request)

    async def serve_orders(self, *addresses: str) -> None:
        """Have a Service `orders` with these endpoints."""
        if not self._objects[SERVICES.path()]:
            await self.put(SERVICES.path(), builders.service("orders"))
        await self.put(ENDPOINT_SLICES.path(), orders(*addresses))


def orders(*addresses: str) -> Json:
    """Make the EndpointSlice of the Service `orders`."""
    found = builders.endpoint_slice("orders", {"name": "grpc", "port": 50051, "protocol": "TCP"})
    endpoints = [{"addresses": [address], "conditions": {"ready": True}} for address in addresses]
    return {**found, "addressType": "IPv4", "endpoints": endpoints}


class XdsProcess:
    """One replica; its log is read as it comes."""

    def __init__(self, folder: Path, kubeconfig: Path, **settings: object) -> None:
        self.pair = Folder(folder)
        self.pair.put(CA.issue_cert("localhost", SERVER))
        self.log_file = folder / "log"
        self.ports: dict[str, int] = {}
        env = {
            "KUBECONFIG": kubeconfig,
            "HOST": HOST,
            "SIDECAR_XDS_PORT": 0,
            "HEALTH_PORT": 0,
            "POLL_SECONDS": 0.05,
            "SHUTDOWN_DELAY_SECONDS": 0.1,
            "SHUTDOWN_LIMIT_SECONDS": 0.5,
            **{name.upper(): value for name, value in settings.items()},
        }
        self._env = {"PATH": os.environ["PATH"], **{f"EVENKEEL_{name}": str(value) for name, value in env.items()}}
        self._process: asyncio.subprocess.Process | None = None

    async def __aenter__(self) -> Self:
        """Start it."""
        files = ("--tls-cert", str(self.pair.certificate), "--tls-key", str(self.pair.key))
        with self.log_file.open("wb") as log:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "webhook", "xds", *files, env=self._env, cwd=_ROOT, stdout=log, stderr=log
            )
        return self

    async def __aexit__(self, *_: object) -> None:
        """End it."""
        await self.stop()

    @property
    def pid(self) -> int:
        """Give its process id; RuntimeError where it was never started."""
        if self._process is None:
            raise RuntimeError("it was never started")
        return self._process.pid

    async def serving(self) -> Self:
        """Wait until clients are served."""
        await self.listening("health", "xds")
        return self

    async def listening(self, *servers: str) -> None:
        """Wait until these have said their port."""
        async with asyncio.timeout(20):
            while not self.ports.keys() >= set(servers):
                self.ports = {line["server"]: line["port"] for line in self.log() if line["event"] == "listening"}
                await asyncio.sleep(0.02)

    def log(self) -> list[Json]:
        """Give all lines so far; each must be JSON."""
        *lines, _ = self.log_file.read_bytes().split(b"\n")
        return [json.loads(line) for line in lines]

    def events(self, event: str) -> list[Json]:
        """Give the lines of one event."""
        return [line for line in self.log() if line["event"] == event]

    async def health(self, path: str) -> tuple[int, str]:
        """Ask the health port."""
        async with httpx.AsyncClient(trust_env=False, timeout=5) as client:
            answer = await client.get(f"http://{HOST}:{self.ports['health']}{path}")
        return answer.status_code, answer.text

    def signal(self) -> None:
        """Ask it to end."""
        if self._process is not None and self._process.returncode is None:
            self._process.send_signal(signal.SIGTERM)

    async def stop(self) -> int:
        """Ask it to end, and give its exit code."""
        if self._process is None:
            raise RuntimeError("it was never started")
        self.signal()
        try:
            async with asyncio.timeout(15):
                return await self._process.wait()
        finally:
            if self._process.returncode is None:
                self._process.kill()
                await self._process.wait()

    def channel(self, ca: trustme.CA = CA) -> grpc.aio.Channel:
        """Give a connection of its own."""
        credentials = grpc.ssl_channel_credentials(ca.cert_pem.bytes())
        options = [
            ("grpc.ssl_target_name_override", "localhost"),
            ("grpc.use_local_subchannel_pool", 1),
            ("grpc.enable_http_proxy", 0),
        ]
        return grpc.aio.secure_channel(f"{HOST}:{self.ports['xds']}", credentials, options)


class Sidecar:
    """One stream, as Envoy opens it: it asks for names, takes every response and answers it."""

    def __init__(self, channel: grpc.aio.Channel, token: str | None, node: str = "") -> None:
        self._node = node
        self._names: list[str] = []
        call = channel.stream_stream(
            _METHOD,
            request_serializer=discovery_pb2.DiscoveryRequest.SerializeToString,
            response_deserializer=discovery_pb2.DiscoveryResponse.FromString,
        )
        self.call = call(metadata=None if token is None else (("authorization", token),), timeout=30)

    async def asks(self, *names: str, version: str = "", nonce: str = "") -> None:
        """Ask for endpoints by name."""
        self._names = list(names)
        request = discovery_pb2.DiscoveryRequest(
            type_url=EDS, resource_names=names, version_info=version, response_nonce=nonce
        )
        request.node.id = self._node
        await self.call.write(request)

    async def assigned(self) -> dict[str, endpoint_pb2.ClusterLoadAssignment]:
        """Wait for a response, take it, and give what it has by name; raises grpc.aio.AioRpcError."""
        response = await self.call.read()
        if response is grpc.aio.EOF:
            raise EOFError(await self.call.code())
        found = {}
        for one in response.resources:
            assignment = endpoint_pb2.ClusterLoadAssignment()
            assert one.Unpack(assignment)
            found[assignment.cluster_name] = assignment
        await self.asks(*self._names, version=response.version_info, nonce=response.nonce)
        return found

    async def told(self) -> dict[str, list[str]]:
        """Do so, and give the addresses by name."""
        return {name: addresses(assignment) for name, assignment in (await self.assigned()).items()}

    async def refused(self) -> grpc.StatusCode:
        """Wait until the server ends it unasked, and give how: to write on it meanwhile would be a mistake of ours."""
        try:
            await self.call.read()
        except grpc.aio.AioRpcError as error:
            return error.code()
        raise AssertionError("it was let in")

    async def first(self, *names: str) -> dict[str, list[str]]:
        """Ask, and give the first answer."""
        await self.asks(*names)
        return await self.told()


def addresses(assignment: Any) -> list[str]:
    """Give the addresses in an assignment."""
    return sorted(
        one.endpoint.address.socket_address.address for group in assignment.endpoints for one in group.lb_endpoints
    )
