"""What strangers may send: JSON of any shape, Pods that are nearly right, Services that mean harm."""

from __future__ import annotations

import copy
from typing import Any

from hypothesis import strategies as st

from tests import builders
from webhook.core import names

TEXTS = st.text(max_size=20) | st.sampled_from(
    ["", "~", "/", "a/b~c", "null", "%REQ(COOKIE)%", "$image", 'x", "y": "', "\n- a", "*", "{{x}}", "\x00", "\ud83d"]
)
SCALARS = st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False) | TEXTS
JSON = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=12,
)

_FRAGMENTS = (
    *("orders", ".shop", ":50051", ",", " ", "\n", '"', "'", "%REQ(:PATH)%", "${", "$name", "*", "&a", "<<", "/", "-"),
    *("enabled", "disabled", "512Mi", "2", "debug", "docker.io/envoyproxy/envoy:v1", "@", "\u0663", "\u2028", "1e3"),
)
HOSTILE = TEXTS | st.lists(st.sampled_from(_FRAGMENTS), max_size=6).map("".join)
KEYS = st.sampled_from([*names.ANNOTATIONS_ON_PODS, *names.WRITTEN]) | TEXTS.map(lambda text: f"{names.DOMAIN}/{text}")

NAMES = st.sampled_from(["orders", "users", "localhost", "null", "1e3", "on", "0x1f", "front", "unknown", "app"])
NAMESPACES = st.sampled_from(["shop", "store", "1e3", "svc"])
PORT_NAMES = st.sampled_from([None, "grpc", "grpc-b", "h2c", "http", "grpc-web", "api"])
PORTS = st.fixed_dictionaries(
    {"port": st.sampled_from([80, 81, 9001, 50051, 65535])},
    optional={
        "name": PORT_NAMES,
        "targetPort": st.sampled_from([80, 81, 15001, 50051, "api", "nobody"]),
        "appProtocol": st.sampled_from(["grpc", "kubernetes.io/h2c", "https"]),
        "protocol": st.sampled_from(["TCP", "UDP"]),
    },
)
GRPC_SERVICES = st.lists(st.sampled_from(["a.A", "a.B", "B", "null", "_x.y"]), min_size=1, max_size=3).map(", ".join)
GOOD_WORDS = st.fixed_dictionaries(
    {},
    optional={
        names.UPSTREAM: st.sampled_from(["enabled", "disabled", "80", "grpc, 81", "api"]),
        names.GRPC_SERVICES: GRPC_SERVICES,
        names.EXPORT_TO: st.sampled_from(["*", "shop", "shop,store", "svc"]),
        names.LB_POLICY: st.sampled_from(["round_robin", "least_request"]),
        names.RETRY: st.sampled_from(["default", "safe", "idempotent", "off"]),
        names.MAX_TIMEOUT: st.sampled_from(["1s", "500ms", "1h30m"]),
        names.CAPTURE: st.sampled_from(["enabled", "disabled"]),
        names.HEALTH_CHECK: st.sampled_from(["grpc", "off"]),
    },
)
BAD_WORDS = st.dictionaries(st.sampled_from(names.ANNOTATIONS_ON_SERVICES) | TEXTS, HOSTILE, max_size=3)


SPECS = st.sampled_from(
    [
        *({}, {}, {}, {"clusterIP": "10.96.0.7"}, {"clusterIP": "10.96.0.8"}, {"sessionAffinity": "ClientIP"}),
        {"clusterIP": "10.96.0.9", "internalTrafficPolicy": "Local"},
        {"sessionAffinity": "None", "internalTrafficPolicy": "Cluster", "trafficDistribution": "PreferClose"},
    ]
)


@st.composite
def services(draw: st.DrawFn, namespaces: st.SearchStrategy[str] = NAMESPACES) -> Any:
    """Give a Service that the API server would take, with good or bad words on it."""
    return builders.service(
        draw(NAMES),
        *draw(st.lists(PORTS, min_size=1, max_size=3)),
        namespace=draw(namespaces),
        annotations=draw(GOOD_WORDS | BAD_WORDS),
        selector=draw(st.sampled_from([None, {"app": "front"}, {"app": "orders"}])),
        **draw(SPECS),
    )


@st.composite
def slices(draw: st.DrawFn) -> Any:
    """Give an EndpointSlice, its ports not always possible."""
    ports = st.fixed_dictionaries({"name": PORT_NAMES, "port": st.sampled_from([80, 50051, 0, 70000, -1, True, None])})
    return builders.endpoint_slice(
        draw(NAMES), *draw(st.lists(ports, max_size=2)), namespace=draw(NAMESPACES), suffix=draw(NAMES)
    )


@st.composite
def deployments(draw: st.DrawFn) -> Any:
    """Give a Deployment that may say what a named target port is."""
    ports = st.fixed_dictionaries({"name": PORT_NAMES, "containerPort": st.sampled_from([80, 50051, 0, 70000])})
    return builders.deployment(draw(NAMES), *draw(st.lists(ports, max_size=2)), namespace=draw(NAMESPACES))


@st.composite
def broken(draw: st.DrawFn, good: st.SearchStrategy[Any]) -> Any:
    """Give a good object with one part, at any depth, replaced or taken away."""
    document = copy.deepcopy(draw(good))
    places = list(_places(document))
    holder, key = draw(st.sampled_from(places))
    if draw(st.booleans()):
        holder[key] = draw(JSON)
    elif isinstance(holder, dict):
        del holder[key]
    return document


def _places(node: Any) -> Any:
    items = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for key, value in list(items):
        yield node, key
        yield from _places(value)


NAMESPACE_WORDS = st.fixed_dictionaries(
    {},
    optional={
        names.CAPTURE: st.sampled_from(["enabled", "disabled", "yes"]),
        names.DISCOVERY: st.sampled_from(["dns", "xds", "eds"]),
    },
)
OBJECTS = (
    services()
    | slices()
    | deployments()
    | st.builds(builders.namespace, st.sampled_from(["shop", "store"]), annotations=NAMESPACE_WORDS)
)
ANYTHING = OBJECTS | broken(OBJECTS) | JSON | st.just(builders.namespace("shop", labels={"evenkeel.dev/inject": "x"}))

CONTAINERS = st.lists(
    st.fixed_dictionaries(
        {"name": st.sampled_from(["app", "helper", "evenkeel-proxy2", "a/b~c"])},
        optional={
            "ports": st.none() | st.just([{"containerPort": 8080, "protocol": "TCP"}]),
            "resources": st.sampled_from([None, {}, {"limits": {"cpu": 1, "memory": "1Gi"}}, {"requests": None}]),
            "env": st.sampled_from([None, [], [{"name": "http_proxy", "value": "x"}], [{"name": "a"}], "odd"]),
            "volumeMounts": st.none() | st.just([{"name": "data", "mountPath": "/data"}]),
            "livenessProbe": st.sampled_from([None, {"grpc": {"port": 50051}}, {"httpGet": {"port": "api"}}, "odd"]),
        },
    ),
    min_size=1,
    max_size=3,
)
VOLUMES = st.none() | st.lists(st.fixed_dictionaries({"name": st.sampled_from(["data", "a/b~c", ""])}), max_size=2)
ALIASES = st.none() | st.lists(
    st.sampled_from(
        [
            {"ip": "127.0.0.1", "hostnames": ["users", "users.shop"]},
            {"ip": "127.64.0.1"},
            {"ip": "127.88.1.2", "hostnames": ["users.shop", "x"]},
            {"ip": "10.0.0.1", "hostnames": None},
            {},
        ]
    ),
    max_size=2,
)
LABELS = st.none() | st.dictionaries(TEXTS, TEXTS, max_size=2) | st.builds(dict, app=st.just("front"))


@st.composite
def pods(draw: st.DrawFn) -> Any:
    """Give a Pod as far as we look at it, with nulls and odd keys."""
    spec: Any = {"containers": draw(CONTAINERS)}
    for key, values in (
        ("initContainers", st.none() | CONTAINERS),
        ("volumes", VOLUMES),
        ("hostAliases", ALIASES),
        ("securityContext", st.sampled_from([None, {}, {"runAsUser": None}, {"runAsUser": 7}])),
        ("resources", st.sampled_from([None, {}, {"requests": None}, {"limits": {"cpu": "1"}}])),
    ):
        if draw(st.booleans()):
            spec[key] = draw(values)
    metadata: Any = {"name": draw(st.none() | TEXTS)}
    for key in ("labels", "annotations"):
        if draw(st.booleans()):
            metadata[key] = draw(LABELS)
    return {"spec": spec, **draw(st.sampled_from([{"metadata": metadata}, {"metadata": None}, {}]))}
