"""The examples' manifests against the articles they come from."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

EXAMPLES = Path(__file__).parents[2] / "examples"
FOLDERS = ("hoge", "ticketing", "frontend")

DEPLOYMENTS: dict[str, dict[str, Any]] = {
    "hoge/hoge-app": {
        "replicas": 5, "labels": {"app": "hoge-app"}, "image": "asia.gcr.io/hoge/hoge-app:latest", "ports": [50051],
    },
    "hoge/hoge-gateway": {
        "replicas": 4, "labels": {"app": "hoge-gateway"}, "image": "asia.gcr.io/hoge/hoge-gateway:latest",
        "ports": [8080], "env": {"HOGE_APP_ADDRESS": "localhost:9001"},
    },
    "ticketing/app-client": {
        "replicas": 1, "labels": {"app": "client"}, "image": "grpc-client:latest", "command": ["/app/app"],
        "env": {"SERVER_DOMAIN": "localhost", "SERVER_PORT": "9001"},
    },
    "ticketing/app-server": {
        "replicas": 2, "labels": {"app": "server"}, "image": "grpc-server:latest", "command": ["/app/app"],
        "env": {"POD_NAME": "metadata.name", "APP_VERSION": "V1"}, "ports": [12345],
    },
    "frontend/be1-deployment": {
        "replicas": 2, "labels": {"app": "be1"}, "image": "docker.io/salrashid123/be_xds_server", "ports": [50051],
    },
    "frontend/be2-deployment": {
        "replicas": 2, "labels": {"app": "be2"}, "image": "docker.io/salrashid123/be_xds_server", "ports": [50051],
    },
    "frontend/fe-deployment": {
        "replicas": 1, "labels": {"app": "fe"}, "image": "docker.io/salrashid123/fe_xds_server", "ports": [8080],
        "env": {"BACKEND_ADDRESS": "localhost:9001", "BACKENDS": "be1-srv:50051,be2-srv:50051"},
    },
}  # fmt: skip

SERVICES: dict[str, dict[str, Any]] = {
    "hoge/hoge-app-service": {"headless": True, "app": "hoge-app", "port": ("grpc", 15001, 15001)},
    "hoge/hoge-gateway-service": {"headless": True, "app": "hoge-gateway", "port": ("http", 15001, 15001)},
    "ticketing/app-server-headless": {"headless": True, "app": "server", "port": (None, 12345, 12345)},
    "frontend/be1-srv": {"headless": True, "app": "be1", "port": ("grpc", 50051, None)},
    "frontend/be2-srv": {"headless": True, "app": "be2", "port": ("grpc", 50051, None)},
    "frontend/fe-srv": {"type": "NodePort", "headless": False, "app": "fe", "port": ("http", 8080, None)},
}


def manifests(folder: str) -> list[Path]:
    """List a folder's manifests, without what only kustomize reads."""
    return sorted(path for path in (EXAMPLES / folder).glob("*.yaml") if path.name != "kustomization.yaml")


def documents(kind: str) -> dict[str, dict[str, Any]]:
    """Read all documents of a kind, by folder and name."""
    return {
        f"{folder}/{document['metadata']['name']}": document
        for folder in FOLDERS
        for path in manifests(folder)
        for document in yaml.safe_load_all(path.read_text())
        if document["kind"] == kind
    }


def summary_of_deployment(document: dict[str, Any]) -> dict[str, Any]:
    """Say of a Deployment what the articles say of theirs."""
    template = document["spec"]["template"]
    [container] = template["spec"]["containers"]
    summary = {
        "replicas": document["spec"]["replicas"],
        "labels": template["metadata"]["labels"],
        "image": container["image"],
        "command": container.get("command"),
        "env": {
            each["name"]: each.get("value") or each["valueFrom"]["fieldRef"]["fieldPath"]
            for each in container.get("env", [])
        },
        "ports": [port["containerPort"] for port in container.get("ports", [])],
    }
    return {key: value for key, value in summary.items() if value}


def summary_of_service(document: dict[str, Any]) -> dict[str, Any]:
    """Say of a Service what the articles say of theirs."""
    spec = document["spec"]
    [port] = spec["ports"]
    summary = {
        "headless": spec.get("clusterIP") == "None",
        "app": spec["selector"]["app"],
        "port": (port.get("name"), port["port"], port.get("targetPort")),
    }
    return summary | ({"type": spec["type"]} if spec.get("type", "ClusterIP") != "ClusterIP" else {})


def test_deployments_are_those_of_the_articles() -> None:
    """Names, labels, images, ports, environment and numbers are theirs."""
    actual = {name: summary_of_deployment(document) for name, document in documents("Deployment").items()}

    assert actual == DEPLOYMENTS


def test_services_are_those_of_the_articles() -> None:
    """Names, selectors and ports are theirs, and so is which of them is headless."""
    actual = {name: summary_of_service(document) for name, document in documents("Service").items()}

    assert actual == SERVICES


@pytest.mark.parametrize("name", DEPLOYMENTS)
def test_a_deployment_selects_its_own_pods(name: str) -> None:
    """The API server refuses a selector that does not match the template's labels."""
    spec = documents("Deployment")[name]["spec"]

    assert spec["selector"] == {"matchLabels": spec["template"]["metadata"]["labels"]}


def test_api_versions_are_current() -> None:
    """Nothing here needs an API that a cluster of today no longer serves."""
    versions = {
        (document["apiVersion"], document["kind"])
        for folder in FOLDERS
        for path in manifests(folder)
        for document in yaml.safe_load_all(path.read_text())
    }

    assert versions == {("apps/v1", "Deployment"), ("v1", "Service"), ("v1", "Namespace")}


@pytest.mark.parametrize("folder", FOLDERS)
def test_only_the_namespace_knows_of_the_injection(folder: str) -> None:
    """The applications are unmodified: no word of a sidecar, a proxy or of us outside the namespace's label."""
    for path in manifests(folder):
        found = re.findall(r"(?i)envoy|sidecar|proxy|evenkeel|inject", path.read_text())

        assert found == (["evenkeel", "inject"] if path.name == "namespace.yaml" else []), path


@pytest.mark.parametrize("folder", FOLDERS)
def test_a_namespace_is_labelled_and_named_as_its_folder(folder: str) -> None:
    """One `kubectl apply -k` makes the namespace with its label, and everything else inside it."""
    kustomization = yaml.safe_load((EXAMPLES / folder / "kustomization.yaml").read_text())
    namespace = documents("Namespace")[f"{folder}/{folder}"]

    assert namespace["metadata"]["labels"] == {"evenkeel.dev/inject": "enabled"}
    assert kustomization["namespace"] == folder
    assert sorted(kustomization["resources"]) == [path.name for path in manifests(folder)]
