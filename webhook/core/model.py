"""The values that the stages of the core speak in. All immutable; none knows the wire or a file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, NamedTuple

Json = Any
JsonObject = Mapping[str, Any]


class ServiceRef(NamedTuple):
    """A Service by namespace and name."""

    namespace: str
    name: str

    def __str__(self) -> str:
        """Give the name as authorities write it: `name.namespace`."""
        return f"{self.name}.{self.namespace}"


class LbPolicy(StrEnum):
    """How the RPCs of one upstream are spread."""

    ROUND_ROBIN = "round_robin"
    LEAST_REQUEST = "least_request"


class Retry(StrEnum):
    """Which failed RPCs are sent again, to another pod."""

    DEFAULT = "default"
    SAFE = "safe"
    IDEMPOTENT = "idempotent"
    OFF = "off"


class DiscoveryMode(StrEnum):
    """Where a sidecar learns which pods an upstream has."""

    DNS = "dns"
    XDS = "xds"


class Mode(StrEnum):
    """Who balances a Pod's calls: a sidecar, or the app's own gRPC library."""

    SIDECAR = "sidecar"
    PROXYLESS = "proxyless"


@dataclass(frozen=True, slots=True)
class Policy:
    """What a Service's annotations say about calls to it."""

    lb_policy: LbPolicy = LbPolicy.ROUND_ROBIN
    retry: Retry = Retry.DEFAULT
    max_timeout: str | None = None
    """Longest RPC as a protobuf duration (`2.5s`), or none."""
    health_check: bool = False
    """Ask every pod by `grpc.health.v1`, and leave out those that do not say that they serve."""


@dataclass(frozen=True, slots=True)
class Upstream:
    """One port of a headless Service that a sidecar balances over."""

    service: ServiceRef
    service_port: int
    """The port in authorities."""
    port: int
    """The port dialled: what the pods listen on."""
    port_name: str | None
    declared: bool
    """Said to be gRPC by its name, its appProtocol or an annotation; not merely unnamed."""
    policy: Policy = field(default=Policy())
    headless: bool = True
    """Its name resolves to its pods; else to one address, and only pushed endpoints tell of them."""
    direct: bool = False
    """Which pod answers is for the Service's own address to say: its endpoints are never pushed."""

    @property
    def cluster(self) -> str:
        """The name of its cluster in Envoy; the same for two Service ports with one target."""
        return f"{self.service}:{self.port}{'/direct' if self.direct else ''}"

    @property
    def endpoints(self) -> str:
        """Give the name by which its endpoints are asked for."""
        return f"{self.service}:{self.service_port}"


class ServicePort(NamedTuple):
    """A TCP port of a Service, whatever it speaks."""

    number: int
    name: str
    """Empty where it has none."""
    target: int | None
    """What the pods listen on; None where that is not known."""


@dataclass(frozen=True, slots=True)
class Service:
    """A Service as the catalog keeps it, headless or not."""

    ref: ServiceRef
    selector: tuple[tuple[str, str], ...]
    target_ports: frozenset[int]
    """Every resolved TCP target port, for the ingress listener."""
    upstreams: tuple[Upstream, ...] = ()
    """In the order in which an authority without a port prefers them: declared first."""
    grpc_services: tuple[str, ...] = ()
    export_to: frozenset[str] = frozenset()
    """Namespaces beside its own that see it; `*` is all."""
    pushed: tuple[Upstream, ...] = ()
    """Declared ports that are upstreams only where endpoints are pushed: of a Service that is not headless."""
    ports: tuple[ServicePort, ...] = ()
    """Every TCP port, by number."""
    headless: bool = True
    prefer_zone: bool = False
    """Its `trafficDistribution` asks for endpoints of the caller's zone."""
    capture: bool | None = None
    """What its annotation says about calls to its name."""
    unfit: str = ""
    """Why calls to its name cannot be captured; empty where they can."""

    def selects(self, labels: Mapping[str, str]) -> bool:
        """Say whether a pod with these labels, in this Service's namespace, is one of its pods."""
        for key, value in self.selector:  # a loop: asked for every Service a Pod sees
            if labels.get(key) != value:
                return False
        return bool(self.selector)

    @property
    def declared(self) -> bool:
        """Say whether at least one of its upstreams is declared gRPC."""
        return any(upstream.declared for upstream in self.upstreams)


@dataclass(frozen=True, slots=True)
class Problem:
    """Something wrong in an object that is not the Pod: left out and reported, never fatal."""

    code: str
    """Stable, for metrics."""
    where: str
    """`Service shop/orders`, and the field or annotation."""
    message: str

    def __str__(self) -> str:
        """Give one line for people."""
        return f"{self.where}: {self.message}"


@dataclass(frozen=True, slots=True)
class Namespace:
    """What is known of a Namespace."""

    name: str
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)


class UpstreamRef(NamedTuple):
    """`name[.namespace][:port]` as a Pod's author writes it."""

    name: str
    namespace: str | None
    port: str | None
    """A number or a port's name."""

    def __str__(self) -> str:
        """Give it back as it is written."""
        namespace = f".{self.namespace}" if self.namespace else ""
        port = f":{self.port}" if self.port else ""
        return f"{self.name}{namespace}{port}"


@dataclass(frozen=True, slots=True)
class Overrides:
    """What the Pod's own annotations ask for; None is not said."""

    upstreams: tuple[UpstreamRef, ...] | None = None
    default_upstream: UpstreamRef | None = None
    app_port: int | None = None
    cpu_request: str | None = None
    cpu_limit: str | None = None
    memory_request: str | None = None
    memory_limit: str | None = None
    image: str | None = None
    log_level: str | None = None
    concurrency: int | None = None
    access_log: bool | None = None
    mode: Mode = Mode.SIDECAR
    capture: bool | None = None
    discovery: DiscoveryMode | None = None


@dataclass(frozen=True, slots=True)
class Resources:
    """Requests and limits as Kubernetes quantities."""

    cpu_request: str
    cpu_limit: str
    memory_request: str
    memory_limit: str

    def as_document(self) -> dict[str, dict[str, str]]:
        """Give the container's `resources`."""
        return {
            "requests": {"cpu": self.cpu_request, "memory": self.memory_request},
            "limits": {"cpu": self.cpu_limit, "memory": self.memory_limit},
        }


@dataclass(frozen=True, slots=True)
class Ports:
    """The ports of the sidecar."""

    egress: int = 9001
    ingress: int = 15001
    admin: int = 8001
    probe: int = 19021

    def all(self) -> tuple[int, ...]:
        """Give every port that the sidecar may bind."""
        return (self.egress, self.ingress, self.admin, self.probe)


@dataclass(frozen=True, slots=True)
class SidecarSettings:
    """What the operator decides for every sidecar."""

    image: str = "docker.io/envoyproxy/envoy:distroless-v1.40.0"
    """Fully qualified, so that no node's short-name search decides what runs."""
    ports: Ports = Ports()
    cluster_domain: str = "cluster.local"
    ipv6: bool = False
    """Listeners on all addresses bind `::` with IPv4 compatibility, egress also [::1]. In a cluster it is found out."""
    log_level: str = "warning"
    concurrency: int = 2
    """Worker threads."""
    access_log: bool = True
    endpoint_metrics: bool = False
    """Whether they count calls by endpoint too: ten more series in each sidecar for each endpoint that it knows."""
    resources: Resources = Resources(cpu_request="50m", cpu_limit="2", memory_request="96Mi", memory_limit="512Mi")
    guaranteed_cpu: str = "250m"
    """CPU request and limit of the sidecar of a Guaranteed pod: reserved, so smaller than the usual limit."""
    linger_seconds: int = 8
    """How long a leaving pod's ingress still answers: longer than its callers need to hear of it."""
    dns_refresh_seconds: int = 5
    dns_queries_per_second: int = 10
    """Bound of one sidecar's DNS queries: with more upstreams than this allows the refresh lengthens."""
    discovery: DiscoveryMode = DiscoveryMode.DNS
    """Where sidecars learn of endpoints, unless a Pod or its Namespace says otherwise."""
    capture: bool = False
    """Whether calls to the names of Services go through the sidecar, unless somebody says otherwise."""
    privileged_ports: bool = False
    """Whether they may have ports below 1024: for clusters whose container runtimes let an ordinary user bind these, as
    containerd (2.0 and newer) and Docker do. Switched off, it takes these ports from live Pods: make them anew then."""
    xds_service: str = "evenkeel-xds"
    """The headless Service of `evenkeel xds`, in our namespace."""
    xds_port: int = 18000
    """Its port."""
    system_namespaces: frozenset[str] = frozenset({"kube-system", "kube-public", "kube-node-lease"})
    own_namespace: str = "evenkeel-system"
