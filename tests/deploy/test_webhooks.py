"""The two webhook configurations: who is brought to us, and that nobody waits long for it."""

from __future__ import annotations

import pytest

from tests.deploy.objects import Json, base, expressions, of_kind
from webhook.core import names
from webhook.core.model import SidecarSettings

[MUTATING] = of_kind("MutatingWebhookConfiguration", base()).values()
[VALIDATING] = of_kind("ValidatingWebhookConfiguration", base()).values()
ENTRIES = {one["name"]: one for one in [*MUTATING["webhooks"], *VALIDATING["webhooks"]]}
INJECTING = ["inject.evenkeel.dev", "inject-pods.evenkeel.dev"]
SYSTEM = {"kube-system", "kube-public", "kube-node-lease", names.SYSTEM_NAMESPACE}


def requirement(operator: str, *values: str) -> Json:
    """Write a requirement on our label."""
    return {"key": names.INJECT, "operator": operator, "values": list(values)}


def namespace_requirements(entry: Json) -> tuple[list[Json], set[str]]:
    """Give what an entry asks of a namespace, the namespaces it leaves out apart."""
    selector = entry["namespaceSelector"]["matchExpressions"]
    [outside] = [one for one in selector if one["key"] == "kubernetes.io/metadata.name"]

    assert set(entry["namespaceSelector"]) == {"matchExpressions"}
    assert outside["operator"] == "NotIn"
    return [one for one in selector if one is not outside], set(outside["values"])


def test_the_entries_are_those_that_are_known_by_name() -> None:
    """Metrics of the API server and our own checks call them so."""
    assert list(ENTRIES) == [*INJECTING, "warn.evenkeel.dev"]


@pytest.mark.parametrize(("name", "limit"), [(INJECTING[0], 3), (INJECTING[1], 3), ("warn.evenkeel.dev", 1)])
def test_an_entry_fails_open_and_soon(name: str, limit: int) -> None:
    """Nothing that happens to us may keep anything from being created."""
    entry = ENTRIES[name]

    assert entry["failurePolicy"] == "Ignore"
    assert entry["timeoutSeconds"] == limit
    assert entry["sideEffects"] == "None"
    assert entry["matchPolicy"] == "Equivalent"
    assert entry["admissionReviewVersions"] == ["v1"]


@pytest.mark.parametrize("name", ENTRIES)
def test_an_entry_calls_our_service(name: str) -> None:
    """Without a caBundle: who makes the certificate writes it, and applying again leaves it alone."""
    path = "/validate" if name == "warn.evenkeel.dev" else "/mutate"
    service = {"name": "evenkeel-webhook", "namespace": names.SYSTEM_NAMESPACE, "path": path, "port": 443}

    assert ENTRIES[name]["clientConfig"] == {"service": service}


@pytest.mark.parametrize("name", ENTRIES)
def test_an_entry_leaves_the_system_and_ourselves_alone(name: str) -> None:
    """They have to come up without us; these are the namespaces that the injector itself passes over."""
    _, outside = namespace_requirements(ENTRIES[name])
    settings = SidecarSettings()

    assert outside == SYSTEM == {*settings.system_namespaces, settings.own_namespace}


@pytest.mark.parametrize("name", INJECTING)
def test_only_creations_of_pods_are_brought_for_injection(name: str) -> None:
    """And again after another webhook has changed the Pod."""
    rule = {"apiGroups": [""], "apiVersions": ["v1"], "resources": ["pods"], "scope": "Namespaced"}

    assert ENTRIES[name]["rules"] == [rule | {"operations": ["CREATE"]}]
    assert ENTRIES[name]["reinvocationPolicy"] == "IfNeeded"


def test_a_labelled_namespace_brings_all_its_pods_but_those_that_opt_out() -> None:
    """The Pod's own word is heard inside the API server."""
    entry = ENTRIES["inject.evenkeel.dev"]

    assert namespace_requirements(entry)[0] == [requirement("In", names.ENABLED)]
    assert entry["objectSelector"] == {"matchExpressions": [requirement("NotIn", names.DISABLED)]}


def test_elsewhere_only_pods_that_opt_in_are_brought() -> None:
    """Unless the namespace says no; no Pod is brought twice."""
    entry = ENTRIES["inject-pods.evenkeel.dev"]

    assert namespace_requirements(entry)[0] == [requirement("NotIn", names.ENABLED, names.DISABLED)]
    assert entry["objectSelector"] == {"matchExpressions": [requirement("In", names.ENABLED)]}


@pytest.mark.parametrize("name", INJECTING)
def test_pods_of_the_host_network_and_mirrors_are_not_brought(name: str) -> None:
    """Everything else is: the handler has to see it, if only to say why not."""
    conditions = [condition["expression"] for condition in ENTRIES[name]["matchConditions"]]

    assert len(conditions) == 2
    assert "hostNetwork" in conditions[0]
    assert repr(names.MIRROR_POD) in conditions[1]


def test_warnings_are_for_what_people_apply_in_labelled_namespaces() -> None:
    """Workloads and Services, without the subresources that controllers write."""
    entry = ENTRIES["warn.evenkeel.dev"]
    resources = {
        f"{group}/{one}" for rule in entry["rules"] for group in rule["apiGroups"] for one in rule["resources"]
    }

    assert resources == {
        "apps/deployments",
        "apps/statefulsets",
        "apps/daemonsets",
        "batch/jobs",
        "batch/cronjobs",
        "/services",
    }
    assert all(rule["operations"] == ["CREATE", "UPDATE"] for rule in entry["rules"])
    assert namespace_requirements(entry)[0] == [requirement("In", names.ENABLED)]


@pytest.mark.parametrize("name", ENTRIES)
def test_no_condition_reads_a_field_that_may_be_absent(name: str) -> None:
    """That would be an error, and under Ignore an error is a Pod without a sidecar and without a word."""
    for expression in expressions(ENTRIES[name]):
        assert "object.?" in expression
        assert "object.spec" not in expression
        assert "metadata.annotations" not in expression
