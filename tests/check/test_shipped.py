"""What ships is read from the manifests themselves."""

from __future__ import annotations

import pytest

from tests.check import world
from tests.check.kit import context, findings
from webhook.check.judge_before import needed_to_install
from webhook.check.model import Result, Unknown
from webhook.check.place import RECONCILER, WEBHOOK, Place
from webhook.check.shipped import Permission, Shipped, load_shipped
from webhook.kube import resources
from webhook.kube.resources import Resource

RESOURCES = [one for one in vars(resources).values() if isinstance(one, Resource)]


def test_permissions_are_those_of_the_roles_that_ship() -> None:
    """One for each verb, with the namespace and name that the role has."""
    shipped = load_shipped(Place())
    reconciler = shipped.permissions(RECONCILER, Place())

    assert Permission("watch", "", "services") in shipped.permissions(WEBHOOK, Place())
    assert Permission("patch", "", "pods") in reconciler
    assert Permission("update", "coordination.k8s.io", "leases", "evenkeel-system", "evenkeel-reconciler") in reconciler
    assert Permission("patch", "", "pods") not in shipped.permissions(WEBHOOK, Place())


def test_an_installation_in_another_namespace_is_compared_with_its_own_names() -> None:
    """In selectors, subjects and expressions alike."""
    shipped = load_shipped(Place("balance"))

    assert "evenkeel-system" not in str(shipped.objects)
    assert shipped.permissions(WEBHOOK, Place("balance")) == load_shipped(Place()).permissions(WEBHOOK, Place())


def test_what_whoever_installs_needs_covers_all_that_ships() -> None:
    """A kind more in deploy/base is a permission more."""
    plurals = {"PriorityClass": "priorityclasses", **{one.kind: one.plural for one in RESOURCES}}
    plurals |= {kind: f"{kind.lower()}s" for kind in ("Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding")}
    kinds = {one["kind"] for one in world.shipped() if one["kind"] not in ("Kustomization", "Component")}
    asked = {permission.resource for permission in needed_to_install("evenkeel-system")}

    assert {plurals[kind] for kind in kinds} <= asked


def test_an_object_that_does_not_ship_is_not_guessed() -> None:
    """Its check is skipped with that reason."""
    with pytest.raises(Unknown, match="no ConfigMap 'x' ships with this version"):
        load_shipped(Place()).get("ConfigMap", "x")


async def test_an_installation_of_the_package_without_manifests_compares_nothing() -> None:
    """And says so."""

    def missing() -> Shipped:
        raise Unknown("deploy: not shipped with this installation of evenkeel")

    made = context(world.healthy(), shipped=missing)
    found = await findings(world.healthy(), made=made)

    compared = {name for name, finding in found.items() if finding.result is Result.SKIPPED}
    assert compared == {"rbac", "mutating-webhook", "validating-webhook", "policies"}
    assert found["policies"].found == ("cannot be judged: deploy: not shipped with this installation of evenkeel",)
