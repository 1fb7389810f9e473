"""Whom sidecars trust to be the control plane of endpoints."""

from __future__ import annotations

from base64 import b64encode
from typing import Any

import pytest

from tests.builders import catalog
from webhook.core.authorities import authorities, bundles, is_ours

PEM = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----"


def encoded(text: str) -> str:
    """Give a text as a caBundle has it."""
    return b64encode(text.encode()).decode()


def configuration(*webhooks: Any, kind: str = "MutatingWebhookConfiguration") -> Any:
    """Make a webhook configuration."""
    return {"apiVersion": "admissionregistration.k8s.io/v1", "kind": kind, "webhooks": list(webhooks)}


def webhook(bundle: Any, name: str = "inject.evenkeel.dev") -> Any:
    """Make one of its webhooks."""
    return {"name": name, "clientConfig": {"caBundle": bundle}}


def test_each_bundle_counts_once() -> None:
    """All our webhooks have the same one; whitespace around it is no difference."""
    assert authorities([encoded(PEM), encoded(f"\n{PEM}\n\n")]) == f"{PEM}\n"


def test_while_a_ca_is_replaced_both_are_trusted() -> None:
    """In the order in which they are found, so that the same gives the same bytes."""
    other = PEM.replace("MIIB", "MIIC")

    assert authorities([encoded(f"{PEM}\n{other}")]) == f"{PEM}\n{other}\n"
    assert authorities([encoded(other), encoded(PEM)]) == f"{other}\n{PEM}\n"


@pytest.mark.parametrize("text", ["", "no base64!", encoded("no certificate"), encoded("é" + PEM), encoded(PEM * 300)])
def test_what_is_no_bundle_is_not_trusted(text: str) -> None:
    """Nor one that would fill every Pod's annotations."""
    assert authorities([text]) == ""


@pytest.mark.parametrize(
    "found",
    [
        {}, {"webhooks": None}, {"webhooks": "x"}, {"webhooks": [None, 7, {}]}, {"webhooks": [{"clientConfig": []}]},
        configuration(webhook(None)), configuration(webhook(7)), configuration(webhook("")),
    ],
)  # fmt: skip
def test_a_configuration_that_publishes_none(found: Any) -> None:
    """Before the CA is written into it there is an empty one."""
    assert bundles(found) == []


def test_ours_is_known_by_its_webhooks_names() -> None:
    """Whatever the operator calls the configuration; others' CAs are none of ours."""
    theirs = configuration(webhook(encoded(PEM), "inject.mesh.example.com"))
    ours = configuration(webhook(encoded(PEM), "inject-pods.evenkeel.dev"))

    assert [is_ours(theirs), is_ours(ours), is_ours({})] == [False, True, False]
    assert catalog(theirs, ours).trust == f"{PEM}\n"
    assert catalog(theirs).trust == ""
    assert catalog({**ours, "kind": "ValidatingWebhookConfiguration"}).trust == ""
