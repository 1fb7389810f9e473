"""Objects of Kubernetes for tests: valid as they are, each test overrides the one thing that it is about."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

from webhook.core.catalog import Catalog, build_catalog
from webhook.core.inject import Injector
from webhook.core.model import SidecarSettings
from webhook.core.pod import Pod, read_pod
from webhook.core.templates import Templates
from webhook.templates import dump, load_templates

Json = dict[str, Any]
NAMESPACE = "shop"
UID = "705ab4f5-6393-11e8-b7cc-42010a800002"


def container(name: str = "app", **fields: Any) -> Json:
    """Make a container."""
    return {"name": name, "image": "registry.example.com/shop/app:v1", **fields}


def pod(
    *,
    labels: Mapping[str, str] | None = None,
    annotations: Mapping[str, str] | None = None,
    containers: list[Json] | None = None,
    namespace: str = NAMESPACE,
    **spec: Any,
) -> Json:
    """Make a Pod's document as the API server sends it."""
    metadata: Json = {
        "name": "front-0",
        "namespace": namespace,
        "labels": {"app": "front"} if labels is None else labels,
    }
    if annotations is not None:
        metadata["annotations"] = dict(annotations)
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": metadata,
        "spec": {"containers": containers or [container()], **spec},
    }


def view_of_pod(**fields: Any) -> Pod:
    """Make a Pod and read it as the rules do."""
    document = pod(**fields)
    return read_pod(document, document["metadata"]["namespace"])


def service(
    name: str = "orders",
    *ports: Json,
    namespace: str = NAMESPACE,
    annotations: Mapping[str, str] | None = None,
    **spec: Any,
) -> Json:
    """Make a headless Service; without ports, with one named grpc."""
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name, "namespace": namespace, "annotations": dict(annotations or {})},
        "spec": {
            "clusterIP": "None",
            "selector": {"app": name},
            "ports": list(ports) or [port(50051, "grpc")],
            **spec,
        },
    }


def port(number: int = 50051, name: str | None = None, **fields: Any) -> Json:
    """Make a port of a Service."""
    named = {} if name is None else {"name": name}
    return {"port": number, "protocol": "TCP", **named, **fields}


def endpoint_slice(of: str, *ports: Json, namespace: str = NAMESPACE, suffix: str = "x7k2p") -> Json:
    """Make an EndpointSlice of a Service."""
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {
            "name": f"{of}-{suffix}",
            "namespace": namespace,
            "labels": {"kubernetes.io/service-name": of},
        },
        "addressType": "IPv4",
        "ports": list(ports),
        "endpoints": [{"addresses": ["10.0.0.7"], "conditions": {"ready": True}}],
    }


def deployment(name: str, *ports: Json, namespace: str = NAMESPACE, **template: Any) -> Json:
    """Make a Deployment whose pods carry the label `app` and declare these ports."""
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {
            "selector": {"matchLabels": {"app": name}},
            "template": {
                "metadata": {"labels": {"app": name}},
                "spec": {"containers": [container(ports=list(ports))]},
                **template,
            },
        },
    }


def namespace(name: str = NAMESPACE, *, labels: Mapping[str, str] | None = None, **metadata: Any) -> Json:
    """Make a Namespace."""
    return {
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {"name": name, "labels": dict(labels or {}), **metadata},
    }


def review(document: Json, **request: Any) -> Json:
    """Make the AdmissionReview by which the API server asks about a Pod."""
    return {
        "apiVersion": "admission.k8s.io/v1",
        "kind": "AdmissionReview",
        "request": {
            "uid": UID,
            "kind": {"group": "", "version": "v1", "kind": "Pod"},
            "resource": {"group": "", "version": "v1", "resource": "pods"},
            "namespace": (document.get("metadata") or {}).get("namespace") or NAMESPACE,
            "operation": "CREATE",
            "object": document,
            "dryRun": False,
            **request,
        },
    }


def catalog(*objects: Json, default_namespace: str = NAMESPACE) -> Catalog:
    """Build a catalog from objects."""
    return build_catalog(objects, default_namespace=default_namespace)


def injector(settings: SidecarSettings | None = None) -> Injector:
    """Give an injector with the shipped templates, one for the same settings: it remembers what does not change."""
    return _injector(settings or SidecarSettings())


@cache
def _injector(settings: SidecarSettings) -> Injector:
    return Injector(settings, templates(), dump)


@cache
def templates() -> Templates:
    """Read the shipped templates once; nothing changes them."""
    return load_templates(None)
