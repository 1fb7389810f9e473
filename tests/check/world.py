"""A cluster in which all is well; each test breaks the one thing that it is about."""

from __future__ import annotations

import base64
import copy
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

import jsonpatch
import trustme
import yaml

from tests import builders
from tests.check.api import FakeApi, Json
from webhook import __version__
from webhook.core import names
from webhook.core.catalog import build_catalog
from webhook.core.pod import read_pod
from webhook.data import data_folder

NOW = datetime(2026, 6, 1, 12, 0, tzinfo=UTC)
SYSTEM = names.SYSTEM_NAMESPACE
DNS_NAME = f"evenkeel-webhook.{SYSTEM}.svc"
AUTHORITY = trustme.CA(organization_name="example.com", organization_unit_name="the cluster's own")
STRANGER = trustme.CA(organization_name="example.com", organization_unit_name="somebody else")
_PEM = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"
TRUSTED: Json = {
    "kind": "MutatingWebhookConfiguration",
    "webhooks": [
        {"name": "inject.evenkeel.dev", "clientConfig": {"caBundle": base64.b64encode(_PEM.encode()).decode()}}
    ],
}
"""By which a catalog knows whom sidecars that are pushed to are to trust."""


def issue(ca: trustme.CA = AUTHORITY, *, name: str = DNS_NAME, begins: float = -10, ends: float = 80) -> bytes:
    """Make a certificate that is valid from some days from now to others, PEM."""
    dates = (NOW + timedelta(days=begins), NOW + timedelta(days=ends))
    return ca.issue_cert(name, not_before=dates[0], not_after=dates[1]).cert_chain_pems[0].bytes()


def bundle(*cas: trustme.CA) -> str:
    """Give CAs as a caBundle holds them."""
    return base64.b64encode(b"".join(ca.cert_pem.bytes() for ca in cas)).decode()


def secret(pem: bytes) -> Json:
    """Make the Secret with the serving certificate."""
    metadata = {"name": "evenkeel-webhook-tls", "namespace": SYSTEM}
    data = {"tls.crt": base64.b64encode(pem).decode()}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "type": "kubernetes.io/tls", "data": data}


def node(name: str = "node-1", version: str = "v1.34.2", system: str = "linux") -> Json:
    """Make a Node."""
    info = {"kubeletVersion": version, "operatingSystem": system}
    return {"apiVersion": "v1", "kind": "Node", "metadata": {"name": name}, "status": {"nodeInfo": info}}


def webhook_entries(*cas: trustme.CA) -> list[Json]:
    """Give the webhook configurations that ship, with a caBundle."""
    found = [one for one in shipped() if one["kind"].endswith("WebhookConfiguration")]
    for one in found:
        for webhook in one["webhooks"]:
            webhook["clientConfig"]["caBundle"] = bundle(*cas)
    return found


def shipped() -> list[Json]:
    """Give every object of deploy/base, to change it at will."""
    return copy.deepcopy(_shipped())


@cache
def _shipped() -> list[Json]:
    paths = sorted((data_folder("deploy") / "base").glob("*.yaml"))
    documents = [one for path in paths for one in yaml.load_all(path.read_text(), Loader=yaml.CSafeLoader)]
    return [one for one in documents if one and "metadata" in one]


def member(name: str, of: Json, **status: Any) -> Json:
    """Make a Pod of a Deployment, ready unless told otherwise."""
    ready = {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}
    metadata = of["spec"]["template"]["metadata"]
    hashed = f"{of['metadata']['name']}-6d4b"
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            **copy.deepcopy(metadata),
            "name": f"{hashed}-{name}",
            "namespace": of["metadata"]["namespace"],
            "labels": {**metadata.get("labels", {}), "pod-template-hash": "6d4b"},
            "ownerReferences": [{"kind": "ReplicaSet", "name": hashed, "controller": True}],
        },
        "spec": copy.deepcopy(of["spec"]["template"]["spec"]),
        "status": status or ready,
    }


def injected(pod: Json, *services: Json) -> Json:
    """Give a Pod as the webhook leaves it."""
    catalog = build_catalog(services)
    outcome = builders.injector().admit(read_pod(pod, pod["metadata"].get("namespace", "shop")), catalog, None)
    result: Json = jsonpatch.apply_patch(pod, [dict(one) for one in outcome.operations])
    return result


def corefile(text: str = "kubernetes cluster.local {\n ttl 30\n}\ncache 30\n") -> Json:
    """Make the ConfigMap of CoreDNS."""
    metadata = {"name": "coredns", "namespace": "kube-system"}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"Corefile": text}}


def healthy() -> FakeApi:
    """Make a cluster with Evenkeel in it, and one namespace that uses it."""
    api = FakeApi()
    api.put(*shipped(), *webhook_entries(AUTHORITY), secret(issue()), node(), corefile())
    for name, replicas in (("evenkeel-webhook", 2), ("evenkeel-reconciler", 1), ("evenkeel-xds", 2)):
        deployment = api.find("Deployment", name)
        deployment["spec"]["replicas"] = replicas
        deployment["spec"]["template"]["spec"]["containers"][0]["image"] = f"docker.io/evenkeel/evenkeel:{__version__}"
        deployment["status"] = {"readyReplicas": replicas}
        api.put(*(member(str(number), deployment) for number in range(replicas)))
    api.find("Lease", "evenkeel-reconciler")["spec"] = {
        "holderIdentity": "evenkeel-reconciler-6d4b-0",
        "leaseDurationSeconds": 15,
        "renewTime": (NOW - timedelta(seconds=3)).isoformat().replace("+00:00", "Z"),
    }
    orders, web = builders.service("orders"), builders.deployment("web")
    api.put(
        builders.namespace("default"),
        builders.namespace("shop", labels={names.INJECT: names.ENABLED}),
        builders.endpoint_slice("evenkeel-webhook", builders.port(10250, "https"), namespace=SYSTEM),
        orders,
        builders.endpoint_slice("orders", builders.port(50051, "grpc")),
        web,
        *(injected(member(str(number), web), orders) for number in range(2)),
    )
    api.admit = lambda _, pod: (injected(pod), ())
    return api
