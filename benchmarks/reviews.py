"""What is sent: AdmissionReviews as an API server writes them, and the Services that they are admitted against."""

from __future__ import annotations

import copy
import uuid
from collections.abc import Mapping
from typing import Any, Final

import orjson

Json = dict[str, Any]
FEW: Final = "shop"
"""A namespace with 3 upstreams."""
MANY: Final = "mall"
"""A namespace with 100 upstreams."""
UPSTREAMS: Final = {FEW: 3, MANY: 100}
VARIABLES: Final = 2000
_VARIANTS: Final = 16
_CREATED: Final = "2025-11-03T09:14:27Z"


def services() -> Json:
    """Give a List with the headless Services of both namespaces."""
    made = [_service(f"upstream-{number:03d}", name) for name, count in UPSTREAMS.items() for number in range(count)]
    return {"apiVersion": "v1", "kind": "List", "items": made}


def _service(name: str, namespace: str) -> Json:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name, "namespace": namespace, "labels": {"app": name}},
        "spec": {
            "clusterIP": "None",
            "selector": {"app": name},
            "ports": [{"name": "grpc", "port": 50051, "protocol": "TCP", "targetPort": 50051}],
        },
    }


def usual_pod(namespace: str = FEW) -> Json:
    """Give a Pod of a Deployment as it arrives at admission: no name yet, defaults filled in, fields managed."""
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "generateName": "front-6c9f8d7b5c-",
            "namespace": namespace,
            "creationTimestamp": None,
            "labels": {"app": "front", "pod-template-hash": "6c9f8d7b5c", "version": "v1"},
            "annotations": {"prometheus.io/scrape": "true", "prometheus.io/port": "9102"},
            "ownerReferences": [_owner()],
            "managedFields": [_managed()],
        },
        "spec": {
            "containers": [_container()],
            "volumes": [{"name": "config", "configMap": {"name": "front", "defaultMode": 420}}, _token()],
            "restartPolicy": "Always",
            "terminationGracePeriodSeconds": 30,
            "dnsPolicy": "ClusterFirst",
            "serviceAccountName": "front",
            "serviceAccount": "front",
            "securityContext": {"runAsNonRoot": True, "runAsUser": 1000, "fsGroup": 1000},
            "schedulerName": "default-scheduler",
            "tolerations": [_toleration("not-ready"), _toleration("unreachable")],
            "priority": 0,
            "enableServiceLinks": True,
            "preemptionPolicy": "PreemptLowerPriority",
        },
        "status": {},
    }


def large_pod() -> Json:
    """Give the usual Pod with 2,000 environment variables."""
    pod = usual_pod()
    pod["metadata"]["generateName"] = "large-6c9f8d7b5c-"
    variables = [{"name": f"VARIABLE_{number:04d}", "value": f"value-{number}"} for number in range(VARIABLES)]
    pod["spec"]["containers"][0]["env"] += variables
    return pod


def _owner() -> Json:
    return {
        "apiVersion": "apps/v1",
        "kind": "ReplicaSet",
        "name": "front-6c9f8d7b5c",
        "uid": "b1f4a1de-6f3f-4a33-9d2b-1a5d1f0c2e77",
        "controller": True,
        "blockOwnerDeletion": True,
    }


def _managed() -> Json:
    container: Json = {
        **_fields("f:image", "f:imagePullPolicy", "f:name", "f:terminationMessagePath", "f:terminationMessagePolicy"),
        ".": {},
        "f:env": {
            ".": {},
            'k:{"name":"POD_NAME"}': {".": {}, "f:name": {}, "f:valueFrom": {".": {}, "f:fieldRef": {}}},
        },
        "f:ports": {".": {}, 'k:{"containerPort":8080,"protocol":"TCP"}': {".": {}, "f:containerPort": {}}},
        "f:resources": {".": {}, "f:limits": {".": {}, "f:memory": {}}, "f:requests": {".": {}, "f:cpu": {}}},
    }
    rest = _fields("f:dnsPolicy", "f:enableServiceLinks", "f:restartPolicy", "f:schedulerName", "f:securityContext")
    spec = {"f:containers": {'k:{"name":"app"}': container}, **rest}
    labels = {".": {}, "f:app": {}, "f:pod-template-hash": {}, "f:version": {}}
    owner = {".": {}, 'k:{"uid":"b1f4a1de-6f3f-4a33-9d2b-1a5d1f0c2e77"}': {}}
    return {
        "manager": "kube-controller-manager",
        "operation": "Update",
        "apiVersion": "v1",
        "time": _CREATED,
        "fieldsType": "FieldsV1",
        "fieldsV1": {
            "f:metadata": {"f:generateName": {}, "f:labels": labels, "f:ownerReferences": owner},
            "f:spec": spec,
        },
    }


def _fields(*keys: str) -> Json:
    return {key: {} for key in keys}


def _container() -> Json:
    probe = {"httpGet": {"path": "/healthz", "port": 8080, "scheme": "HTTP"}, "periodSeconds": 10, "timeoutSeconds": 1}
    return {
        "name": "app",
        "image": "registry.example.com/shop/front:v1.42.0",
        "imagePullPolicy": "IfNotPresent",
        "args": ["--listen=:8080", "--orders=localhost:9001"],
        "ports": [{"name": "http", "containerPort": 8080, "protocol": "TCP"}],
        "env": [{"name": "POD_NAME", "valueFrom": {"fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.name"}}}],
        "resources": {"limits": {"memory": "256Mi"}, "requests": {"cpu": "100m", "memory": "128Mi"}},
        "volumeMounts": [
            {"name": "config", "mountPath": "/etc/front", "readOnly": True},
            {"name": "kube-api-access-7xk2p", "mountPath": "/var/run/secrets/kubernetes.io/serviceaccount"},
        ],
        "readinessProbe": {**probe, "successThreshold": 1, "failureThreshold": 3},
        "livenessProbe": {**probe, "successThreshold": 1, "failureThreshold": 3},
        "terminationMessagePath": "/dev/termination-log",
        "terminationMessagePolicy": "File",
        "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
    }


def _token() -> Json:
    sources = [
        {"serviceAccountToken": {"expirationSeconds": 3607, "path": "token"}},
        {"configMap": {"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": "ca.crt"}]}},
    ]
    return {"name": "kube-api-access-7xk2p", "projected": {"sources": sources, "defaultMode": 420}}


def _toleration(what: str) -> Json:
    return {
        "key": f"node.kubernetes.io/{what}",
        "operator": "Exists",
        "effect": "NoExecute",
        "tolerationSeconds": 300,
    }


def review(pod: Mapping[str, Any]) -> Json:
    """Give the review that asks for a Pod's admission."""
    kind, resource = ({"group": "", "version": "v1"} for _ in range(2))
    kind["kind"], resource["resource"] = "Pod", "pods"
    return {
        "kind": "AdmissionReview",
        "apiVersion": "admission.k8s.io/v1",
        "request": {
            "uid": str(uuid.uuid4()),
            "kind": kind,
            "resource": resource,
            "requestKind": kind,
            "requestResource": resource,
            "namespace": pod["metadata"]["namespace"],
            "operation": "CREATE",
            "userInfo": {
                "username": "system:serviceaccount:kube-system:replicaset-controller",
                "uid": "0a7a0c53-5d5e-4b06-8a3a-5f4a2f2f9a10",
                "groups": ["system:serviceaccounts", "system:serviceaccounts:kube-system", "system:authenticated"],
            },
            "object": copy.deepcopy(dict(pod)),
            "oldObject": None,
            "dryRun": False,
            "options": {"kind": "CreateOptions", "apiVersion": "meta.k8s.io/v1"},
        },
    }


def requests(pod: Mapping[str, Any], path: str = "/mutate") -> tuple[bytes, ...]:
    """Write a few whole HTTP requests for a Pod, all of one length, each with a uid of its own."""
    return tuple(_request(orjson.dumps(review(pod)), path) for _ in range(_VARIANTS))


def _request(body: bytes, path: str) -> bytes:
    head = (
        f"POST {path}?timeout=5s HTTP/1.1\r\nHost: evenkeel.evenkeel-system.svc:443\r\nUser-Agent: kube-apiserver\r\n"
        f"Content-Length: {len(body)}\r\nAccept: application/json, */*\r\nContent-Type: application/json\r\n"
        "Accept-Encoding: gzip\r\n\r\n"
    )
    return head.encode() + body
