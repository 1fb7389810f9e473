"""The admission policies, as far as they can be judged without an API server."""

from __future__ import annotations

import re

import pytest

from tests.deploy.objects import Json, base, expressions, of_kind
from webhook.core import names
from webhook.core.model import DiscoveryMode, Mode
from webhook.core.proxyless import BOOTSTRAP, BOOTSTRAP_FILE

POLICIES = of_kind("ValidatingAdmissionPolicy", base())
BINDINGS = of_kind("ValidatingAdmissionPolicyBinding", base())
LABELLED = {"key": names.INJECT, "operator": "In", "values": [names.ENABLED]}


def text_of(name: str) -> str:
    """Give everything that a policy computes."""
    return "\n".join(expressions(POLICIES[name]))


def actions_of(name: str) -> list[str]:
    """Give what a binding does with what fails."""
    actions: list[str] = BINDINGS[name]["spec"]["validationActions"]
    return actions


def rules_of(name: str) -> list[Json]:
    """Give what a policy looks at."""
    rules: list[Json] = POLICIES[name]["spec"]["matchConstraints"]["resourceRules"]
    return rules


def test_every_binding_is_of_a_policy_that_ships_and_every_policy_is_bound() -> None:
    """Without a binding a policy does nothing."""
    assert {one["spec"]["policyName"] for one in BINDINGS.values()} == set(POLICIES)


def test_only_the_guard_of_the_reconciler_fails_closed() -> None:
    """It looks at nobody else's requests."""
    assert {name: one["spec"]["failurePolicy"] for name, one in POLICIES.items()} == {
        "evenkeel-bare-pods": "Ignore",
        "evenkeel-labels": "Ignore",
        "evenkeel-reconciler": "Fail",
    }


@pytest.mark.parametrize("name", POLICIES)
def test_a_message_is_one_line_for_people(name: str) -> None:
    """The API server drops one with a line break, and says the bare expression instead."""
    for validation in POLICIES[name]["spec"]["validations"]:
        assert "\n" not in validation["message"]
        assert "\n" not in validation.get("messageExpression", "")
        assert len(validation["message"]) < 250


@pytest.mark.parametrize("name", POLICIES)
def test_every_name_under_our_domain_is_of_the_contract(name: str) -> None:
    """A typo here would be a rule about nothing."""
    known = {*names.LABELS_ON_NAMESPACES, *names.ANNOTATIONS_ON_NAMESPACES, names.MODE, *names.WRITTEN}
    found = set(re.findall(rf"{re.escape(names.DOMAIN)}/[a-z-]*", text_of(name)))

    assert found - {f"{names.DOMAIN}/"} <= known


def test_bare_pods_are_looked_for_where_the_webhook_injects() -> None:
    """Creations only; not where namespace or Pod opt out, not in the system's namespaces nor ours."""
    constraints = POLICIES["evenkeel-bare-pods"]["spec"]["matchConstraints"]
    opted_out = {"key": names.INJECT, "operator": "NotIn", "values": [names.DISABLED]}
    entry = of_kind("MutatingWebhookConfiguration", base())["evenkeel"]["webhooks"][0]
    [outside] = [one for one in entry["namespaceSelector"]["matchExpressions"] if one["key"] != names.INJECT]

    assert [(rule["resources"], rule["operations"]) for rule in constraints["resourceRules"]] == [
        (["pods"], ["CREATE"])
    ]
    assert constraints["namespaceSelector"] == {"matchExpressions": [opted_out, outside]}
    assert constraints["objectSelector"] == entry["objectSelector"] == {"matchExpressions": [opted_out]}


def test_pods_that_the_webhook_never_sees_are_not_called_bare() -> None:
    """The same conditions, and Windows, where no sidecar can run."""
    entry = of_kind("MutatingWebhookConfiguration", base())["evenkeel"]["webhooks"][0]
    conditions = POLICIES["evenkeel-bare-pods"]["spec"]["matchConditions"]

    assert conditions[:-1] == entry["matchConditions"]
    assert conditions[-1]["name"] == "not-for-windows"
    assert conditions[-1]["expression"].count(names.OS_LABEL) == 2


def test_a_pod_with_our_container_is_not_bare() -> None:
    """By the name that the injector gives it."""
    validation, _ = POLICIES["evenkeel-bare-pods"]["spec"]["validations"]

    assert f"each.name == '{names.SIDECAR}'" in validation["expression"]
    assert "spec.?initContainers" in validation["expression"]


def test_a_proxyless_pod_needs_a_bootstrap_instead() -> None:
    """Each of the two is asked of the Pods that it is for, and of no other."""
    spec = POLICIES["evenkeel-bare-pods"]["spec"]
    variables = {one["name"]: one["expression"] for one in spec["variables"]}
    sidecar, bootstrap = (one["expression"] for one in spec["validations"])

    assert f"[?'{names.MODE}']" in variables["proxyless"]
    assert variables["proxyless"].endswith(f"== '{Mode.PROXYLESS}'")
    assert sidecar.startswith("variables.proxyless || ")
    assert bootstrap.startswith("!variables.proxyless || ")
    assert f"variable.name in ['{BOOTSTRAP}', '{BOOTSTRAP_FILE}']" in bootstrap


@pytest.mark.parametrize("part", ["message", "messageExpression"])
def test_a_bare_pod_is_told_the_remedy(part: str) -> None:
    """Where to look, and how to have it so on purpose."""
    for validation in POLICIES["evenkeel-bare-pods"]["spec"]["validations"]:
        assert "evenkeel check" in validation[part]
        assert f"{names.INJECT}={names.DISABLED}" in validation[part]


def test_a_bare_pod_is_denied_where_the_namespace_says_so_and_warned_about_elsewhere() -> None:
    """Exactly one binding speaks for each Pod."""
    selectors = {name: one["spec"].get("matchResources", {}) for name, one in BINDINGS.items()}
    unless_enforced = {"key": names.ENFORCE, "operator": "NotIn", "values": [names.ENABLED]}

    assert actions_of("evenkeel-bare-pods-deny") == ["Deny", "Audit"]
    assert actions_of("evenkeel-bare-pods-warn") == ["Warn", "Audit"]
    assert selectors["evenkeel-bare-pods-deny"]["namespaceSelector"] == {
        "matchLabels": {names.INJECT: names.ENABLED, names.ENFORCE: names.ENABLED}
    }
    assert selectors["evenkeel-bare-pods-warn"]["namespaceSelector"] == {
        "matchExpressions": [LABELLED, unless_enforced]
    }


def test_a_pod_that_opts_in_by_itself_is_warned_about_too() -> None:
    """Where its namespace says nothing; of other Pods there the policy sees none."""
    resources = BINDINGS["evenkeel-bare-pods-opted-in"]["spec"]["matchResources"]
    silent = {"key": names.INJECT, "operator": "NotIn", "values": [names.ENABLED, names.DISABLED]}

    assert actions_of("evenkeel-bare-pods-opted-in") == ["Warn", "Audit"]
    assert resources["namespaceSelector"] == {"matchExpressions": [silent]}
    assert resources["objectSelector"] == {"matchLabels": {names.INJECT: names.ENABLED}}


def test_values_of_labels_are_never_denied() -> None:
    """On Namespaces both labels, on Pods the one that counts there."""
    assert actions_of("evenkeel-labels") == ["Warn", "Audit"]
    assert {tuple(rule["resources"]) for rule in rules_of("evenkeel-labels")} == {("namespaces",), ("pods",)}
    assert f"in ['{names.ENABLED}', '{names.DISABLED}']" in text_of("evenkeel-labels")


def test_values_of_a_namespaces_annotations_are_those_that_count() -> None:
    """Of Namespaces alone: of everything else the webhook speaks itself."""
    values = {names.CAPTURE: [names.ENABLED, names.DISABLED], names.DISCOVERY: [one.value for one in DiscoveryMode]}
    said = [one["expression"] for one in POLICIES["evenkeel-labels"]["spec"]["validations"]]

    assert set(values) == set(names.ANNOTATIONS_ON_NAMESPACES)
    for key, known in values.items():
        variable = key.rpartition("/")[2]
        assert f"request.kind.kind != 'Namespace' || variables.{variable} in {known}" in said


def test_the_reconciler_may_change_what_a_live_pod_is_given_anew_and_nothing_else() -> None:
    """The annotations are those that the injector refreshes."""
    variables = {one["name"]: one["expression"] for one in POLICIES["evenkeel-reconciler"]["spec"]["variables"]}
    compared = re.findall(r"^object\.\?([\w.?]+) == oldObject\.\?\1$", text_of("evenkeel-reconciler"), re.MULTILINE)

    assert set(re.findall(r"'([^']+)'", variables["ours"])) == set(names.REFRESHED)
    assert [path.replace("?", "") for path in compared] == [
        "metadata.labels",
        "metadata.ownerReferences",
        "metadata.finalizers",
        "spec",
        "status",
    ]
    assert actions_of("evenkeel-reconciler") == ["Deny", "Audit"]


def test_the_guard_is_of_the_account_that_the_reconciler_runs_under() -> None:
    """By the name that the API server gives it."""
    [condition] = POLICIES["evenkeel-reconciler"]["spec"]["matchConditions"]
    account = of_kind("Deployment", base())["evenkeel-reconciler"]["spec"]["template"]["spec"]["serviceAccountName"]

    assert f"== 'system:serviceaccount:{names.SYSTEM_NAMESPACE}:{account}'" in condition["expression"]
    assert {"pods", "pods/status", "pods/ephemeralcontainers", "pods/resize"} == set(
        rules_of("evenkeel-reconciler")[0]["resources"]
    )
