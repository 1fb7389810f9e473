"""The manifests that ship, read as data."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import yaml

Json = Any

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
BASE = DEPLOY / "base"
COMPONENTS = DEPLOY / "components"
CERTS = ROOT / "certs"
CHART = DEPLOY / "helm" / "evenkeel"
VALUES = Path(__file__).parent / "values"

CLUSTER_WIDE = {
    "Namespace", "ClusterRole", "ClusterRoleBinding", "PriorityClass", "MutatingWebhookConfiguration",
    "ValidatingWebhookConfiguration", "ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding",
}  # fmt: skip


def read(path: Path) -> list[Json]:
    """Read the documents of a file."""
    return [document for document in yaml.safe_load_all(path.read_text()) if document is not None]


def resources(folder: Path) -> dict[str, list[Json]]:
    """Read what a kustomization lists as its resources, by file."""
    [kustomization] = read(folder / "kustomization.yaml")
    return {name: read(folder / name) for name in kustomization.get("resources", []) if name.endswith(".yaml")}


@cache
def base() -> list[Json]:
    """Give every object of the base; they are read once, and not to be changed."""
    return [document for documents in resources(BASE).values() for document in documents]


def of_kind(kind: str, objects: Iterable[Json]) -> dict[str, Json]:
    """Give the objects of a kind by name."""
    return {one["metadata"]["name"]: one for one in objects if one["kind"] == kind}


def patches() -> list[Json]:
    """Give every strategic merge patch of a component that is a manifest by itself."""
    folders = [*COMPONENTS.iterdir(), CERTS / "self-managed", CERTS / "cert-manager"]
    found = [document for folder in folders for path in folder.glob("*-patch.yaml") for document in read(path)]
    return [one for one in found if isinstance(one, dict) and one["kind"] == "Deployment"]


def environment() -> Iterator[tuple[str, Json]]:
    """Give every environment variable of a container of ours, with where it is written."""
    for deployment in [*of_kind("Deployment", base()).values(), *patches()]:
        for container in deployment["spec"]["template"]["spec"].get("containers", []):
            yield from ((entry["name"], entry) for entry in container.get("env", []))


def seconds(duration: str) -> int:
    """Read a duration as Go writes it, of whole hours, minutes and seconds."""
    units = {"h": 3600, "m": 60, "s": 1}
    parts = re.findall(r"(\d+)([hms])", duration)
    assert "".join(number + unit for number, unit in parts) == duration
    return sum(int(number) * units[unit] for number, unit in parts)


def expressions(one: Json) -> Iterator[str]:
    """Give every CEL expression in an object."""
    if isinstance(one, dict):
        for key, value in one.items():
            if key in {"expression", "messageExpression"}:
                yield value
            else:
                yield from expressions(value)
    elif isinstance(one, list):
        for value in one:
            yield from expressions(value)
