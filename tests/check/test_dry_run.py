"""The Pod that is only tried: what it is, and what it means when it comes back bare."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from cryptography import x509

from tests.check import world
from tests.check.api import FakeApi, Json
from tests.check.kit import findings
from tests.core.restricted import violations
from webhook.check.judge_dry_run import Known, Tried, dry_run_pod, judge_tries
from webhook.check.model import Result
from webhook.check.place import Place
from webhook.core import names
from webhook.core.pod import read_pod
from webhook.kube.errors import Forbidden

LABELLED = {names.INJECT: names.ENABLED}
CONFIGURATION = world.webhook_entries(world.AUTHORITY)[0]
CHAIN = x509.load_pem_x509_certificates(world.issue())
KNOWN = Known(Place(), CONFIGURATION, CHAIN, endpoints=2, now=world.NOW)
ASKED = dry_run_pod(opts_in=False)


def cause(known: Known, **tried: Any) -> str:
    """Say what is given as the cause of a bare Pod."""
    one = Tried(**{"namespace": "shop", "labels": LABELLED, "asked": ASKED, "pod": ASKED, **tried})
    finding = judge_tries([one], known)
    assert finding.result is Result.FAILED
    assert finding.remedy
    return finding.found[0].partition("without a sidecar: ")[2]


def test_the_pod_passes_pod_security_restricted() -> None:
    """Else a namespace that enforces it would tell nothing."""
    pod = dry_run_pod(opts_in=True)

    assert violations(pod["spec"], pod["spec"]["containers"][0], {"name": "none", "emptyDir": {}}) == []
    assert read_pod(pod, "shop").labels == LABELLED


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"configuration": None}, "there is no MutatingWebhookConfiguration evenkeel"),
        ({"configuration": None, "unread": "jane may not get it"}, "why cannot be told (jane may not get it)"),
        ({"configuration": world.webhook_entries(world.STRANGER)[0]}, "the API server refuses the webhook's certif"),
        ({"endpoints": 0}, "Service evenkeel-system/evenkeel-webhook has no ready endpoint"),
        ({}, "all that can be seen is right, so the API server gets no answer in time"),
        ({"chain": None}, "all that can be seen is right (its certificate could not be looked at), so"),
        ({"endpoints": None}, "all that can be seen is right, so"),
    ],
    ids=["missing", "unread", "certificate", "endpoints", "firewall", "no-secret", "no-slices"],
)
def test_the_first_thing_that_is_broken_is_the_cause(changes: dict[str, Any], says: str) -> None:
    """On the way from the API server to the webhook."""
    assert cause(dataclasses.replace(KNOWN, **changes)).startswith(says)


def test_a_namespace_that_no_entry_selects_is_the_cause() -> None:
    """As where somebody changed the selector."""
    assert cause(KNOWN, labels={}).startswith("no entry of the webhook configuration selects it")


def test_a_pod_that_our_own_policy_denies_is_bare() -> None:
    """The policy speaks where the webhook was silent; its words are kept."""
    refused = "ValidatingAdmissionPolicy 'evenkeel-bare-pods' with binding 'evenkeel-bare-pods-deny' denied request"
    finding = judge_tries([Tried("shop", LABELLED, ASKED, refused=refused)], KNOWN)

    assert finding.result is Result.FAILED
    assert refused in finding.found


def test_warnings_that_come_with_the_pod_are_told() -> None:
    """A bare Pod's policy says it in its own words; an injected one's are for its author."""
    tried = Tried("shop", LABELLED, ASKED, pod=world.injected(ASKED), warnings=("no upstream yet",))

    assert judge_tries([tried], KNOWN).found == ("namespace shop: no upstream yet",)


def test_one_namespace_that_is_right_hides_no_other() -> None:
    """Each has labels and policies of its own."""
    good = Tried("shop", LABELLED, ASKED, pod=world.injected(ASKED))
    bad = Tried("attic", LABELLED, ASKED, pod=ASKED)

    assert judge_tries([good, bad], KNOWN).found[0].startswith("namespace attic: ")


def record(api: FakeApi) -> list[tuple[str, Json]]:
    """Note which Pods are tried where."""
    tried: list[tuple[str, Json]] = []

    def admit(namespace: str, pod: Json) -> tuple[Json, tuple[str, ...]]:
        tried.append((namespace, pod["metadata"]["labels"]))
        return world.injected(pod), ()

    api.admit = admit
    return tried


async def test_the_first_three_labelled_namespaces_are_tried() -> None:
    """System namespaces are not among them: nothing is injected there."""
    api = world.healthy()
    tried = record(api)
    for name in ("a", "b", "c", "kube-system"):
        api.put({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": LABELLED}})

    assert (await findings(api))["dry-run"].found == ("in a, b, c",)
    assert [namespace for namespace, _ in tried] == ["a", "b", "c"]


async def test_without_a_labelled_namespace_a_pod_opts_in_by_itself() -> None:
    """So the whole way is seen right after the installation."""
    api = world.healthy()
    api.find("Namespace", "shop")["metadata"]["labels"] = {}
    tried = record(api)

    assert (await findings(api))["dry-run"].result is Result.OK
    assert tried == [("default", LABELLED)]


async def test_where_nothing_may_be_injected_there_is_nothing_to_try() -> None:
    """And the line says how to label a namespace."""
    api = world.healthy()
    api.find("Namespace", "shop")["metadata"]["labels"] = {}
    api.find("Namespace", "default")["metadata"]["labels"] = {names.INJECT: names.DISABLED}
    found = (await findings(api))["dry-run"]

    assert found.result is Result.SKIPPED
    assert found.remedy[0].startswith("kubectl label namespace")


async def test_a_bare_pod_is_told_even_where_little_may_be_read() -> None:
    """The Pod tells more than anything else; why it is bare then stays open."""
    api = world.healthy()
    api.admit = lambda _, pod: (pod, ())
    path = "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations/evenkeel"
    api.broken[path] = Forbidden("get", path, "jane may not get it", status=403)
    found = (await findings(api))["dry-run"]

    assert found.result is Result.FAILED
    assert "why cannot be told" in found.found[0]
