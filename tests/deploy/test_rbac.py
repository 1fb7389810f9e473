"""What each account may do: a table, so that a right more is a line that somebody reads."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from tests.deploy.objects import BASE, CERTS, Json, base, of_kind, read

NEVER = {"*", "escalate", "bind", "impersonate", "deletecollection"}
CATALOG = {
    ("list", "services"),
    ("watch", "services"),
    ("list", "namespaces"),
    ("watch", "namespaces"),
    ("list", "endpointslices.discovery.k8s.io"),
    ("watch", "endpointslices.discovery.k8s.io"),
    ("list", "mutatingwebhookconfigurations.admissionregistration.k8s.io/evenkeel"),
    ("watch", "mutatingwebhookconfigurations.admissionregistration.k8s.io/evenkeel"),
}
"""What every process of ours follows."""
CONFIGURATIONS = {
    "mutatingwebhookconfigurations.admissionregistration.k8s.io/evenkeel",
    "validatingwebhookconfigurations.admissionregistration.k8s.io/evenkeel",
}
ALLOWED = {
    "ClusterRole/evenkeel-webhook": CATALOG | {("get", one) for one in CONFIGURATIONS},
    "ClusterRole/evenkeel-reconciler": CATALOG | {(verb, "pods") for verb in ("list", "watch", "patch")},
    "ClusterRole/evenkeel-xds": CATALOG | {("create", "tokenreviews.authentication.k8s.io"), ("get", "nodes")},
    "Role/evenkeel-reconciler": {
        ("get", "leases.coordination.k8s.io/evenkeel-reconciler"),
        ("update", "leases.coordination.k8s.io/evenkeel-reconciler"),
        ("create", "leases.coordination.k8s.io"),
    },
}
ALLOWED_SELF_MANAGED = {
    ("get", "secrets/evenkeel-webhook-tls"),
    ("update", "secrets/evenkeel-webhook-tls"),
    ("create", "secrets"),
}


def allowed(rules: Iterable[Json]) -> set[tuple[str, str]]:
    """Give what rules allow as pairs: the verb, and `resource.group/name` without what is empty."""
    found = set()
    for rule in rules:
        assert set(rule) <= {"apiGroups", "resources", "resourceNames", "verbs"}
        for group in rule["apiGroups"]:
            for resource in rule["resources"]:
                whole = f"{resource}.{group}" if group else resource
                named = [f"{whole}/{name}" for name in rule.get("resourceNames", [])]
                found |= {(verb, one) for verb in rule["verbs"] for one in named or [whole]}
    return found


def roles() -> dict[str, Json]:
    """Give every role of the base by kind and name."""
    return {f"{kind}/{name}": role for kind in ("ClusterRole", "Role") for name, role in of_kind(kind, base()).items()}


def test_no_role_is_missing_from_the_table() -> None:
    """And none in it is gone."""
    assert set(roles()) == set(ALLOWED)


@pytest.mark.parametrize("role", ALLOWED)
def test_a_role_allows_what_the_table_says(role: str) -> None:
    """No more, no less."""
    assert allowed(roles()[role]["rules"]) == ALLOWED[role]


def test_a_certificate_of_our_own_takes_one_secret_and_two_patches() -> None:
    """Creating cannot be confined to a name: the API server does not know it yet when it decides."""
    [role] = of_kind("Role", read(CERTS / "self-managed" / "rbac.yaml")).values()
    [[operation]] = read(CERTS / "self-managed" / "rbac-patch.yaml")

    assert allowed(role["rules"]) == ALLOWED_SELF_MANAGED
    assert operation["op"] == "add"
    assert allowed([operation["value"]]) == {("patch", one) for one in CONFIGURATIONS}


def test_no_right_is_one_that_gives_others() -> None:
    """Nor any that nobody could name."""
    everything = set().union(*ALLOWED.values(), ALLOWED_SELF_MANAGED)

    assert {verb for verb, _ in everything} & NEVER == set()
    assert not any("*" in resource for _, resource in everything)


def test_a_binding_gives_a_role_to_the_account_of_its_name() -> None:
    """And to nobody else."""
    self_managed = read(CERTS / "self-managed" / "rbac.yaml")
    bindings = [one for one in [*base(), *self_managed] if one["kind"].endswith("RoleBinding")]
    accounts = of_kind("ServiceAccount", base())

    assert len(bindings) == len(ALLOWED) + 1
    for binding in bindings:
        name = binding["metadata"]["name"]
        [subject] = binding["subjects"]
        kind = binding["kind"].removesuffix("Binding")

        assert binding["roleRef"] == {"apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": name}
        assert (subject["kind"], subject["name"]) == ("ServiceAccount", name)
        assert subject["namespace"] == accounts[name]["metadata"]["namespace"]


def test_the_control_plane_of_endpoints_writes_nothing_and_reads_no_secret() -> None:
    """A review of a token is an object that nobody keeps."""
    verbs = {verb for verb, what in ALLOWED["ClusterRole/evenkeel-xds"] if not what.startswith("tokenreviews.")}

    assert verbs == {"get", "list", "watch"}
    assert not any(what.startswith(("secrets", "pods")) for _, what in ALLOWED["ClusterRole/evenkeel-xds"])


def test_only_the_reconciler_touches_pods() -> None:
    """The webhook sees those that are brought to it."""
    touching = {role for role, rights in ALLOWED.items() if any(what.startswith("pods") for _, what in rights)}

    assert touching == {"ClusterRole/evenkeel-reconciler"}
    assert "pods" not in (BASE / "rbac-webhook.yaml").read_text()
