"""How deploy/ and certs/ are laid out: everything is used, one concern a file, one name for one thing."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from tests.deploy.objects import BASE, CERTS, CLUSTER_WIDE, COMPONENTS, DEPLOY, base, of_kind, read, resources
from webhook.core import names

FOLDERS = sorted(path.parent for root in (DEPLOY, CERTS) for path in root.rglob("kustomization.yaml"))
TOGETHER = [
    {"ServiceAccount"},
    {"ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding"},
    {"ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding"},
]
"""Kinds that are one concern: what a file may hold beside objects of a single kind."""


def label(path: Path) -> str:
    """Name a folder in a test's id."""
    return "-".join(path.parts[-2:])


@pytest.mark.parametrize("folder", FOLDERS, ids=label)
def test_a_kustomization_lists_all_that_lies_beside_it(folder: Path) -> None:
    """A file that is forgotten would be applied by nobody."""
    [kustomization] = read(folder / "kustomization.yaml")
    listed = [name for name in kustomization.get("resources", []) if name.endswith(".yaml")]
    listed += [patch["path"] for patch in kustomization.get("patches", [])]

    assert sorted(listed) == sorted(path.name for path in folder.glob("*.yaml") if path.name != "kustomization.yaml")


@pytest.mark.parametrize("folder", FOLDERS, ids=label)
def test_a_kustomization_refers_only_to_what_exists(folder: Path) -> None:
    """Other folders are named relative to it."""
    [kustomization] = read(folder / "kustomization.yaml")
    named = [*kustomization.get("resources", []), *kustomization.get("components", [])]

    assert [name for name in named if not (folder / name).exists()] == []


def test_every_component_is_a_component() -> None:
    """So that it can be put on top of any overlay."""
    folders = [*COMPONENTS.iterdir(), CERTS / "self-managed", CERTS / "cert-manager"]

    assert {read(folder / "kustomization.yaml")[0]["kind"] for folder in folders} == {"Component"}


@pytest.mark.parametrize("folder", FOLDERS, ids=label)
def test_a_file_holds_one_concern(folder: Path) -> None:
    """Objects of one kind, or of kinds that make no sense apart."""
    mixed = {
        name: kinds
        for name, documents in resources(folder).items()
        if len(kinds := {one["kind"] for one in documents}) > 1 and not any(kinds <= group for group in TOGETHER)
    }

    assert mixed == {}


def test_no_object_ships_twice() -> None:
    """An object's kind and name are its identity."""
    counted = Counter((one["kind"], one["metadata"]["name"]) for one in base())

    assert [identity for identity, count in counted.items() if count > 1] == []


@pytest.mark.parametrize("folder", FOLDERS, ids=label)
def test_every_object_is_ours_by_its_labels_and_in_our_namespace(folder: Path) -> None:
    """So that `kubectl get ... -l app.kubernetes.io/name=evenkeel` shows the whole installation."""
    for documents in resources(folder).values():
        for one in documents:
            metadata = one["metadata"]
            namespace = None if one["kind"] in CLUSTER_WIDE else names.SYSTEM_NAMESPACE

            assert metadata["labels"]["app.kubernetes.io/name"] == "evenkeel", metadata["name"]
            assert metadata.get("namespace") == namespace, metadata["name"]
            assert metadata["name"].startswith("evenkeel"), metadata["name"]


def test_the_base_has_the_objects_that_the_rest_of_the_project_knows_by_name() -> None:
    """Their names are a contract: code, checks and documentation use them."""
    found = {kind: sorted(of_kind(kind, base())) for kind in {one["kind"] for one in base()}}
    every = ["evenkeel-reconciler", "evenkeel-webhook", "evenkeel-xds"]
    called = ["evenkeel-webhook", "evenkeel-xds"]

    assert found == {
        "Namespace": [names.SYSTEM_NAMESPACE],
        "ServiceAccount": every,
        "ClusterRole": every,
        "ClusterRoleBinding": every,
        "Role": ["evenkeel-reconciler"],
        "RoleBinding": ["evenkeel-reconciler"],
        "PriorityClass": ["evenkeel"],
        "Deployment": every,
        "Lease": ["evenkeel-reconciler"],
        "Service": called,
        "PodDisruptionBudget": called,
        "MutatingWebhookConfiguration": ["evenkeel"],
        "ValidatingWebhookConfiguration": ["evenkeel"],
        "ValidatingAdmissionPolicy": ["evenkeel-bare-pods", "evenkeel-labels", "evenkeel-reconciler"],
        "ValidatingAdmissionPolicyBinding": [
            "evenkeel-bare-pods-deny",
            "evenkeel-bare-pods-opted-in",
            "evenkeel-bare-pods-warn",
            "evenkeel-labels",
            "evenkeel-reconciler",
        ],
    }


def test_our_namespace_enforces_the_strictest_pod_security_standard() -> None:
    """What runs there keeps it, so nothing else need come in."""
    labels = of_kind("Namespace", base())[names.SYSTEM_NAMESPACE]["metadata"]["labels"]

    assert labels["pod-security.kubernetes.io/enforce"] == "restricted"
    assert names.INJECT not in labels


def test_the_base_is_in_the_order_of_need() -> None:
    """The namespace first, what calls us last."""
    files = list(resources(BASE))

    assert files[0] == "namespace.yaml"
    assert files[-2:] == ["mutating-webhook.yaml", "validating-webhook.yaml"]
