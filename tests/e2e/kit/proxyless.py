"""The control plane's server in this process, backends that come and go, and Pods whose gRPC libraries ask it."""

from __future__ import annotations

import asyncio
import copy
import itertools
import json
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import grpc
import jsonpatch
import trustme
from prometheus_client import CollectorRegistry

from tests import builders
from tests.xds import auth
from webhook.core import names
from webhook.core.catalog import Catalog, build_catalog
from webhook.core.model import SidecarSettings
from webhook.core.pod import read_pod
from webhook.core.proxyless import CALL_CREDENTIALS
from webhook.node.network import GATEWAY
from webhook.node.node import Node
from webhook.node.pod import Pod
from webhook.xds.authenticate import Authenticator, Terms
from webhook.xds.endpoint_source import EndpointSource
from webhook.xds.metrics import XdsMetrics
from webhook.xds.proxyless import Proxyless
from webhook.xds.refusals import Refusals
from webhook.xds.reviews import ReviewMetrics, Reviews
from webhook.xds.server import AdsServer
from webhook.xds.source import EDS
from webhook.xds.zones import Zones

SETTINGS: Final = SidecarSettings()
OPEN: Final = "open"
"""A namespace whose clients need no token."""
PORT: Final = 50051
_SERVER: Final = f"{SETTINGS.xds_service}.{SETTINGS.own_namespace}.svc"
_READY: Final = {"tcpSocket": {"port": PORT}, "periodSeconds": 1}
_LINGERS: Final = {"preStop": {"sleep": {"seconds": 1}}}
"""Long enough for clients to hear that it leaves."""
Line = dict[str, Any]


class Plane:
    """What the control plane knows and serves, told by the test instead of an API server."""

    def __init__(self, server: AdsServer, endpoints: EndpointSource, proxyless: Proxyless, trust: str) -> None:
        self.trust = trust
        self._server = server
        self._endpoints = endpoints
        self._proxyless = proxyless
        self._services: dict[tuple[str, str], Any] = {}

    def serve(self, *services: Any) -> None:
        """Have these Services too."""
        self._services |= {(each["metadata"]["namespace"], each["metadata"]["name"]): each for each in services}
        catalog = build_catalog(self._services.values())
        changed = {**self._proxyless.put_catalog(catalog), EDS: self._endpoints.put_catalog(catalog)}
        for type_url, found in changed.items():
            self._server.changed(type_url, found)

    def slice(self, service: str, endpoints: Iterable[Any], namespace: str = builders.NAMESPACE) -> None:
        """Have these endpoints of a Service and no others."""
        port = {"name": "grpc", "port": PORT, "protocol": "TCP"}
        document = {**builders.endpoint_slice(service, port, namespace=namespace), "endpoints": list(endpoints)}
        self._server.changed(EDS, self._endpoints.put_slice((namespace, service), document))


def endpoint(address: str, **conditions: bool) -> Any:
    """Give an endpoint of a slice, ready unless said otherwise."""
    return {"addresses": [address], "conditions": {"ready": True, "serving": True, "terminating": False} | conditions}


@asynccontextmanager
async def plane(node: Node) -> AsyncIterator[Plane]:
    """Serve where the node's Pods find it by its name, over TLS, to Pods with a token that the API server believes."""
    registry, cluster = CollectorRegistry(), auth.Cluster()
    metrics = ReviewMetrics(registry)
    terms = Terms(unauthenticated=frozenset({OPEN}))
    refusals = Refusals(registry)
    authenticator = Authenticator(Reviews(cluster, metrics), Zones(cluster), refusals, metrics, terms)
    endpoints, proxyless = EndpointSource(), Proxyless(SETTINGS.cluster_domain)
    sources = {EDS: endpoints, **proxyless.sources}
    server = AdsServer(sources, authenticator, XdsMetrics(registry), anonymous=authenticator.anonymous)
    authority = trustme.CA()
    await server.listen(f"{GATEWAY}:{SETTINGS.xds_port}", _credentials(authority.issue_cert(_SERVER)))
    metadata = {"name": SETTINGS.xds_service, "namespace": SETTINGS.own_namespace}
    node.services.apply({"kind": "Service", "metadata": metadata, "spec": {"clusterIP": GATEWAY, "ports": []}})
    judging = asyncio.create_task(authenticator.run())
    try:
        yield Plane(server, endpoints, proxyless, authority.cert_pem.bytes().decode())
    finally:
        judging.cancel()
        await asyncio.gather(judging, return_exceptions=True)
        await server.stop(0)


def _credentials(leaf: trustme.LeafCert) -> grpc.ServerCredentials:
    chain = b"".join(each.bytes() for each in leaf.cert_chain_pems)
    return grpc.ssl_server_credentials([(leaf.private_key_pem.bytes(), chain)])


def token() -> str:
    """Give a token of an hour that begins now; the API server believes it for namespace shop."""
    now = int(time.time())
    return auth.jwt(iat=now, exp=now + 3600)


class Backends:
    """The Pods of a Service, in step with its EndpointSlice."""

    def __init__(self, node: Node, plane: Plane, service: str) -> None:
        self.pods: list[Pod] = []
        self._node = node
        self._plane = plane
        self._service = service
        self._numbers = itertools.count()

    @property
    def addresses(self) -> set[str]:
        """Give the addresses of those that serve."""
        return {pod.address for pod in self.pods}

    async def scale(self, replicas: int) -> float:
        """Have so many; give when the slice said so. New ones are ready before, old ones end after."""
        await asyncio.gather(*(self._add() for _ in range(replicas - len(self.pods))))
        leaving, self.pods = self.pods[replicas:], self.pods[:replicas]
        told = time.time()
        drained = [endpoint(pod.address, ready=False, terminating=True) for pod in leaving]
        self._plane.slice(self._service, [*map(endpoint, sorted(self.addresses)), *drained])
        await asyncio.gather(*(pod.delete() for pod in leaving))
        self.tell()
        return told

    def tell(self, *more: Any) -> None:
        """Have those that serve in the slice, and endpoints beside them."""
        self._plane.slice(self._service, [*map(endpoint, sorted(self.addresses)), *more])

    async def _add(self) -> None:
        name = f"{self._service}-{next(self._numbers)}"
        fields = {"POD_NAME": "metadata.name", "POD_IP": "status.podIP"}
        env = [{"name": key, "valueFrom": {"fieldRef": {"fieldPath": path}}} for key, path in fields.items()]
        container = {"name": "app", "image": "grpc-echo", "env": env, "readinessProbe": _READY, "lifecycle": _LINGERS}
        pod = await self._node.run(
            {"metadata": {"name": name, "namespace": builders.NAMESPACE}, "spec": {"containers": [container]}}
        )
        self.pods.append(pod)
        await pod.wait_ready(60)


class Caller:
    """A Pod as it is admitted, whose app calls some targets until it is deleted."""

    def __init__(self, pod: Pod) -> None:
        self.pod = pod

    def lines(self, target: str, since: float = 0.0) -> list[Line]:
        """Give what it has said of a target; only tallies that were begun after a time."""
        *whole, _ = self.pod.logs("app").split("\n")
        said = [json.loads(line) for line in whole if line.startswith("{")]
        return [line for line in said if line["target"] == target and line["at"] > since + (0.15 if since else 0.0)]

    async def until(self, target: str, holds: Callable[[list[Line]], bool], seconds: float = 20.0) -> list[Line]:
        """Wait until what it has said of a target is so."""
        end = time.monotonic() + seconds
        while not holds(self.lines(target)):
            last = self.lines(target)[-3:]
            assert time.monotonic() < end, f"{self.pod.name}: {target}: {last}: {self.pod.logs('app')[-2000:]}"
            await asyncio.sleep(0.05)
        return self.lines(target)

    async def only(self, target: str, addresses: set[str]) -> None:
        """Wait until just these answer."""
        await self.until(target, lambda lines: bool(lines) and lines[-1]["answers"].keys() == addresses)

    async def error(self, target: str, text: str) -> str:
        """Wait until calls fail with a text, and give the whole of it."""
        lines = await self.until(target, lambda lines: text in "".join(said(lines[-1:], "errors")))
        return next(error for error in said(lines[-1:], "errors") if text in error)


def said(lines: Iterable[Line], what: str) -> Counter[str]:
    """Add up the answers or the errors of lines."""
    return sum((Counter(line[what]) for line in lines), Counter())


@asynccontextmanager
async def calling(
    node: Node, plane: Plane, image: str, *targets: str, namespace: str = builders.NAMESPACE, with_token: bool = True
) -> AsyncIterator[Caller]:
    """Run an app in a Pod that says `evenkeel.dev/mode: proxyless`."""
    switch = [] if with_token else [{"name": CALL_CREDENTIALS, "value": "false"}]
    document = builders.pod(
        containers=[{"name": "app", "image": image, "args": list(targets), "env": switch}],
        annotations={names.MODE: "proxyless"},
        namespace=namespace,
        terminationGracePeriodSeconds=1,
    )
    document["metadata"] |= {"name": "", "generateName": f"{image}-"}
    outcome = builders.injector(SETTINGS).admit(read_pod(document, namespace), Catalog(trust=plane.trust), None)
    operations = [dict(each) for each in outcome.operations]
    pod = await node.run(jsonpatch.apply_patch(copy.deepcopy(document), json.loads(json.dumps(operations))))
    try:
        yield Caller(pod)
    finally:
        await pod.delete(0)


def write_program(path: Path, words: str) -> Path:
    """Write a script that becomes another program, with its arguments."""
    path.write_text(f'#!/bin/sh\nexec {words} "$@"\n')
    path.chmod(0o755)
    return path
