"""Every name of the contract, once: labels, annotations, the container, the volume and its files."""

from typing import Final

DOMAIN: Final = "evenkeel.dev"

# Labels.
INJECT: Final = f"{DOMAIN}/inject"
"""On a Namespace or Pod: `enabled` or `disabled`. Whether its Pods get a sidecar."""
ENFORCE: Final = f"{DOMAIN}/enforce"
"""On a Namespace: `enabled` makes a policy deny bare Pods instead of warning about them."""

INJECTED: Final = f"{DOMAIN}/injected"
"""On every Pod that got a sidecar: ours are found by it, without a look at all others."""
INJECTED_VALUE: Final = "true"

ENABLED: Final = "enabled"
DISABLED: Final = "disabled"

# Annotations a Pod's author writes.
UPSTREAMS: Final = f"{DOMAIN}/upstreams"
"""Only these upstreams: `name[.namespace][:port]`, comma separated."""
DEFAULT_UPSTREAM: Final = f"{DOMAIN}/default-upstream"
"""Where calls go whose authority is localhost and whose path no Service claims."""
APP_PORT: Final = f"{DOMAIN}/app-port"
"""The port of the app that the ingress listener forwards to."""
PROXY_CPU_REQUEST: Final = f"{DOMAIN}/proxy-cpu-request"
PROXY_CPU_LIMIT: Final = f"{DOMAIN}/proxy-cpu-limit"
PROXY_MEMORY_REQUEST: Final = f"{DOMAIN}/proxy-memory-request"
PROXY_MEMORY_LIMIT: Final = f"{DOMAIN}/proxy-memory-limit"
PROXY_IMAGE: Final = f"{DOMAIN}/proxy-image"
PROXY_LOG_LEVEL: Final = f"{DOMAIN}/proxy-log-level"
PROXY_CONCURRENCY: Final = f"{DOMAIN}/proxy-concurrency"
ACCESS_LOG: Final = f"{DOMAIN}/access-log"
MODE: Final = f"{DOMAIN}/mode"
"""`sidecar` or `proxyless`: a gRPC library that speaks xDS itself."""
CAPTURE: Final = f"{DOMAIN}/capture"
"""On a Pod, Namespace or Service: `enabled` or `disabled`. Whether calls to a Service's name go through the sidecar."""
DISCOVERY: Final = f"{DOMAIN}/discovery"
"""On a Pod or Namespace: `dns` or `xds`. Where the sidecar learns of endpoints."""

# Annotations a Service's author writes.
UPSTREAM: Final = f"{DOMAIN}/upstream"
"""`enabled`, `disabled`, or the ports by name or number that are gRPC."""
GRPC_SERVICES: Final = f"{DOMAIN}/grpc-services"
"""`pkg.Service, ...`: calls to localhost with these paths are routed here."""
EXPORT_TO: Final = f"{DOMAIN}/export-to"
"""`*` or the namespaces that may see the Service beside its own."""
LB_POLICY: Final = f"{DOMAIN}/lb-policy"
RETRY: Final = f"{DOMAIN}/retry"
MAX_TIMEOUT: Final = f"{DOMAIN}/max-timeout"
HEALTH_CHECK: Final = f"{DOMAIN}/health-check"

# Annotations we write on a Pod; the first four are the sidecar's files.
BOOTSTRAP: Final = f"{DOMAIN}/bootstrap"
CLUSTERS: Final = f"{DOMAIN}/clusters"
ROUTES: Final = f"{DOMAIN}/routes"
LISTENERS: Final = f"{DOMAIN}/listeners"
STATUS: Final = f"{DOMAIN}/status"
"""A JSON summary of what was written: version, upstreams, digest."""

CAPTURES: Final = f"{DOMAIN}/captures"
"""The routes of captured names, on Pods that have some."""
TRUST: Final = f"{DOMAIN}/trust"
"""Who signs the certificate of `evenkeel xds`, on Pods whose endpoints are pushed."""
IDENTITY: Final = f"{DOMAIN}/identity"
"""Where Envoy finds the token by which such a Pod says who it is."""

CONFIGURATION: Final = (BOOTSTRAP, CLUSTERS, ROUTES, LISTENERS)
"""On every Pod with a sidecar."""
AT_TIMES: Final = (CAPTURES, TRUST, IDENTITY)
"""On those that need them."""
WRITTEN: Final = (*CONFIGURATION, *AT_TIMES, STATUS)
REFRESHED: Final = (CLUSTERS, ROUTES, LISTENERS, CAPTURES, TRUST, STATUS)
"""Those that a live Pod is given anew when Services change; Envoy reads its bootstrap only once."""

FILES: Final = {
    BOOTSTRAP: "bootstrap.yaml",
    CLUSTERS: "clusters.yaml",
    ROUTES: "routes.yaml",
    LISTENERS: "listeners.yaml",
    CAPTURES: "captures.yaml",
    TRUST: "trust.yaml",
    IDENTITY: "identity.yaml",
}
"""The file under CONFIG_FOLDER that each configuration annotation is projected to."""
TOKEN_FILE: Final = "token"  # noqa: S105 - a file's name
TOKEN_AUDIENCE: Final = "evenkeel-xds"  # noqa: S105 - for whom tokens are

LABELS_ON_PODS: Final = (INJECT,)
LABELS_ON_NAMESPACES: Final = (INJECT, ENFORCE)
ANNOTATIONS_ON_PODS: Final = (
    UPSTREAMS,
    DEFAULT_UPSTREAM,
    APP_PORT,
    PROXY_CPU_REQUEST,
    PROXY_CPU_LIMIT,
    PROXY_MEMORY_REQUEST,
    PROXY_MEMORY_LIMIT,
    PROXY_IMAGE,
    PROXY_LOG_LEVEL,
    PROXY_CONCURRENCY,
    ACCESS_LOG,
    MODE,
    CAPTURE,
    DISCOVERY,
)
ANNOTATIONS_ON_SERVICES: Final = (
    UPSTREAM,
    GRPC_SERVICES,
    EXPORT_TO,
    LB_POLICY,
    RETRY,
    MAX_TIMEOUT,
    CAPTURE,
    HEALTH_CHECK,
)
ANNOTATIONS_ON_NAMESPACES: Final = (CAPTURE, DISCOVERY)

# The container and its volume.
SIDECAR: Final = "evenkeel-proxy"
VOLUME: Final = "evenkeel-config"
CONFIG_FOLDER: Final = "/etc/evenkeel"

# Objects of Kubernetes that we look at.
SYSTEM_NAMESPACE: Final = "evenkeel-system"
MIRROR_POD: Final = "kubernetes.io/config.mirror"
OS_LABEL: Final = "kubernetes.io/os"
OPENSHIFT_UID_RANGE: Final = "openshift.io/sa.scc.uid-range"
SLICE_SERVICE: Final = "kubernetes.io/service-name"

# Envoy's own names inside the configuration.
EGRESS_LISTENER: Final = "egress"
INGRESS_LISTENER: Final = "ingress"
EGRESS_ROUTES: Final = "egress"
CAPTURED_ROUTES: Final = "captured"
XDS_CLUSTER: Final = "evenkeel-xds"
APP_CLUSTER: Final = "app"
FORWARD_PROXY_CLUSTER: Final = "any-headless-service"
