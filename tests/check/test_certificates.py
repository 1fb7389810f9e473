"""Whether a caBundle vouches for what is served, and how much time is left: real certificates, a given time."""

from __future__ import annotations

import base64
from datetime import timedelta

import pytest
import trustme
from cryptography import x509
from cryptography.x509 import Certificate

from tests.check import world
from tests.check.world import AUTHORITY, DNS_NAME, NOW, STRANGER
from webhook.check.chain import untrusted
from webhook.check.judge_certificates import Entry, authorities, judge_agreement, judge_lifetime
from webhook.check.model import Result

BETWEEN = AUTHORITY.create_child_ca()


def load(*pems: bytes) -> list[Certificate]:
    """Read certificates."""
    return x509.load_pem_x509_certificates(b"".join(pems))


def root(ca: trustme.CA) -> Certificate:
    """Give the certificate of a CA."""
    return load(ca.cert_pem.bytes())[0]


def test_a_certificate_of_the_authority_is_trusted() -> None:
    """The usual case."""
    assert untrusted(load(world.issue()), [root(AUTHORITY)], DNS_NAME, NOW) == ""


def test_several_authorities_are_usual_during_a_change() -> None:
    """Old and new are both good until the change is over."""
    both = [root(STRANGER), root(AUTHORITY)]

    assert untrusted(load(world.issue()), both, DNS_NAME, NOW) == ""
    assert untrusted(load(world.issue(STRANGER)), both, DNS_NAME, NOW) == ""


def test_an_intermediate_that_is_served_leads_to_the_authority() -> None:
    """And one that is kept back does not."""
    leaf = world.issue(BETWEEN)

    assert untrusted(load(leaf, BETWEEN.cert_pem.bytes()), [root(AUTHORITY)], DNS_NAME, NOW) == ""
    assert untrusted(load(leaf), [root(AUTHORITY)], DNS_NAME, NOW).startswith("it was issued by")


def test_the_leaf_itself_may_be_the_bundle() -> None:
    """As a self-signed one is."""
    leaf = load(world.issue())

    assert untrusted(leaf, leaf, DNS_NAME, NOW) == ""


def test_a_leaf_vouches_for_nobody() -> None:
    """Only a CA may sign; the API server sees it so as well."""
    other = load(world.issue(STRANGER))

    assert untrusted(load(world.issue()), other, DNS_NAME, NOW).startswith("it was issued by")


@pytest.mark.parametrize(
    ("pem", "says"),
    [
        (world.issue(STRANGER), "it was issued by"),
        (world.issue(name="elsewhere.example.com"), "it is for elsewhere.example.com, and not for evenkeel-webhook"),
        (world.issue(ends=-1), "it is valid from 2026-05-22 12:00 UTC to 2026-05-31 12:00 UTC"),
        (world.issue(begins=1), "it is valid from 2026-06-02 12:00 UTC"),
    ],
    ids=["stranger", "name", "expired", "too-early"],
)
def test_why_a_certificate_is_refused(pem: bytes, says: str) -> None:
    """The reason is named with what was found."""
    assert untrusted(load(pem), [root(AUTHORITY)], DNS_NAME, NOW).startswith(says)


def test_a_wildcard_covers_one_label() -> None:
    """As TLS has it."""
    wild = load(world.issue(name="*.evenkeel-system.svc"))

    assert untrusted(wild, [root(AUTHORITY)], DNS_NAME, NOW) == ""
    assert untrusted(wild, [root(AUTHORITY)], "a.b.evenkeel-system.svc", NOW) != ""


def test_an_authority_that_has_expired_vouches_for_nobody() -> None:
    """A long-lived leaf outlives it in vain."""
    late = root(AUTHORITY).not_valid_after_utc + timedelta(days=1)
    leaf = load(world.issue(ends=(late - NOW).days + 10))

    assert untrusted(leaf, [root(AUTHORITY)], DNS_NAME, late).startswith("it was issued by")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "caBundle is empty: the API server trusts nobody there"),
        ("%%%", "caBundle holds no certificate in PEM"),
        (base64.b64encode(b"hello").decode(), "caBundle holds no certificate in PEM"),
    ],
)
def test_a_ca_bundle_that_is_none(text: str, says: str) -> None:
    """Empty, garbled or no certificate: each is said."""
    with pytest.raises(ValueError, match=says):
        authorities({"clientConfig": {"caBundle": text}})


def test_every_entry_that_disagrees_is_named() -> None:
    """One that nobody has written to is as bad as a wrong one."""
    entries = [
        Entry("MutatingWebhookConfiguration evenkeel: a", {"clientConfig": {"caBundle": world.bundle(AUTHORITY)}}),
        Entry("MutatingWebhookConfiguration evenkeel: b", {"clientConfig": {"caBundle": world.bundle(STRANGER)}}),
        Entry("ValidatingWebhookConfiguration evenkeel: c", {"clientConfig": {}}),
    ]

    found = judge_agreement(entries, load(world.issue()), DNS_NAME, NOW, ["mend it"])

    assert [text.partition(": the API")[0][-1] for text in found.found] == ["b", "c"]
    assert found.remedy == ("mend it",)


@pytest.mark.parametrize(
    ("begins", "ends", "result", "says"),
    [
        (-10, 80, Result.OK, "80 days left, 89% of its life"),
        (-0.5, 1, Result.OK, "24 hours left, 67% of its life"),
        (-74, 26, Result.OK, "26 days left, 26% of its life"),
        (-76, 24, Result.WARNING, "24 days left, 24% of its life"),
        (-100, -1, Result.FAILED, "expired on 2026-05-31 12:00 UTC"),
        (1, 90, Result.FAILED, "not valid before 2026-06-02 12:00 UTC"),
    ],
)
def test_time_left_is_judged_by_fraction(begins: float, ends: float, result: Result, says: str) -> None:
    """A certificate for a week and one for a year are both renewed in time, or not."""
    found = judge_lifetime(load(world.issue(begins=begins, ends=ends)), NOW, ["mend it"])

    assert found.result is result
    assert says in found.found[0]
