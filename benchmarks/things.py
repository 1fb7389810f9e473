"""What is applied: servers behind headless Services, and callers with a sidecar."""

from __future__ import annotations

import uuid
from typing import Any, Final

from webhook.core import names

Json = dict[str, Any]
ECHO: Final = "grpc-echo"
CALLER: Final = "grpc-caller"
PORT: Final = 50051


def namespace(name: str) -> Json:
    """Give a Namespace whose Pods are injected."""
    labels = {names.INJECT: names.ENABLED}
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}}


def service(name: str, app: str) -> Json:
    """Give a headless Service of an app's Pods."""
    ports = [{"name": "grpc", "port": PORT, "protocol": "TCP"}]
    spec = {"clusterIP": "None", "selector": {"app": app}, "ports": ports}
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}, "spec": spec}


def servers(app: str, replicas: int) -> Json:
    """Give a Deployment of echo servers; they call nobody and get no sidecar."""
    container = {"name": "app", "image": ECHO, "readinessProbe": {"grpc": {"port": PORT}, "periodSeconds": 1}}
    labels = {"app": app, names.INJECT: "disabled"}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [container]}}
    spec = {"replicas": replicas, "selector": {"matchLabels": {"app": app}}, "template": template}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": app}, "spec": spec}


def caller(name: str, namespace_name: str) -> Json:
    """Give a Pod that calls what it is told to, through localhost:9001 if not told otherwise."""
    container = {
        "name": "app",
        "image": CALLER,
        "env": [{"name": "BACKEND_ADDRESS", "value": "localhost:9001"}],
        "readinessProbe": {"tcpSocket": {"port": 8080}, "periodSeconds": 1},
    }
    metadata = {"name": name, "namespace": namespace_name, "uid": str(uuid.uuid4()), "labels": {"app": "caller"}}
    spec = {"containers": [container], "terminationGracePeriodSeconds": 2}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}
