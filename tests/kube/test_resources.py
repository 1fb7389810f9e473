"""How paths are spelled."""

from __future__ import annotations

import pytest

from webhook.kube.resources import (
    DEPLOYMENTS,
    MUTATING_WEBHOOKS,
    NAMESPACES,
    PODS,
    Place,
    Resource,
    place,
)

CASES = [
    (PODS, (), "/api/v1/pods", Place("pods", "", named=False)),
    (PODS, ("shop",), "/api/v1/namespaces/shop/pods", Place("pods", "", named=False)),
    (PODS, ("shop", "x"), "/api/v1/namespaces/shop/pods/x", Place("pods", "", named=True)),
    (PODS, ("shop", "x", "status"), "/api/v1/namespaces/shop/pods/x/status", Place("pods", "status", named=True)),
    (NAMESPACES, (), "/api/v1/namespaces", Place("namespaces", "", named=False)),
    (NAMESPACES, (None, "shop"), "/api/v1/namespaces/shop", Place("namespaces", "", named=True)),
    (NAMESPACES, (None, "a", "finalize"), "/api/v1/namespaces/a/finalize", Place("namespaces", "finalize", named=True)),
    (DEPLOYMENTS, ("shop",), "/apis/apps/v1/namespaces/shop/deployments", Place("deployments", "", named=False)),
    (
        MUTATING_WEBHOOKS,
        ("ignored", "x"),
        "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations/x",
        Place("mutatingwebhookconfigurations", "", named=True),
    ),
]


@pytest.mark.parametrize(("resource", "parts", "path", "meaning"), CASES)
def test_paths(resource: Resource, parts: tuple[str, ...], path: str, meaning: Place) -> None:
    """There, and back to what RBAC calls it."""
    assert resource.path(*parts) == path
    assert place(path) == meaning


def test_no_name_leaves_its_place() -> None:
    """Whatever a stranger calls an object."""
    assert PODS.path("shop", "../x?y") == "/api/v1/namespaces/shop/pods/..%2Fx%3Fy"


def test_other_paths_stand_for_themselves() -> None:
    """RBAC calls them nonResourceURLs."""
    assert place("/version") == Place("/version", "", named=True)


def test_groups() -> None:
    """As RBAC writes them."""
    assert (PODS.group, DEPLOYMENTS.group) == ("", "apps")
