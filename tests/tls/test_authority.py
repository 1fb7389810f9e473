"""Certificates of our own making: what they say, and that strict and usual verifiers take them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
import trustme
from cryptography import x509

from tests.tls.cluster import NOW, REGISTRATION, TERMS, verifies
from tests.tls.pairs import issue as foreign
from webhook.compose.certificate import terms
from webhook.settings import Settings
from webhook.tls.authority import (
    Pair,
    due,
    expired,
    issue,
    make_authority,
    names_of,
    serving_names,
    unfit_authority,
    unfit_leaf,
)
from webhook.tls.bundle import Content, parse_bundle
from webhook.tls.verify import refusal

CA = make_authority(NOW, timedelta(days=60))
LEAF = issue(CA, TERMS.names, NOW, timedelta(days=7))


def test_a_leaf_is_for_every_name_of_the_service() -> None:
    """The API server asks for the first."""
    assert names_of(LEAF.certificate) == (
        "evenkeel-webhook.evenkeel-system.svc",
        "evenkeel-webhook.evenkeel-system.svc.cluster.local",
        "evenkeel-webhook.evenkeel-system",
        "evenkeel-webhook",
    )


def test_one_leaf_is_for_api_servers_and_for_sidecars() -> None:
    """Each asks for the name of a Service of ours, and takes only that."""
    wanted = terms(Settings()).names
    now = datetime.now(UTC)
    ca = make_authority(now, timedelta(days=1))
    leaf = issue(ca, wanted, now, timedelta(hours=1))
    bundle = parse_bundle(Content(leaf.pem, leaf.key))
    hosts = [f"{service}.evenkeel-system.svc" for service in ("evenkeel-webhook", "evenkeel-xds")]

    assert len(wanted) == len({*wanted}) == 8
    assert [refusal(bundle, ca.pem, host) for host in hosts] == [None, None]


def test_a_strict_verifier_takes_a_leaf_and_the_time_counts() -> None:
    """The web's own rules: key identifiers, usages, constraints."""
    bundle = parse_bundle(Content(LEAF.pem, LEAF.key))
    times = (NOW, NOW + timedelta(days=8), NOW - timedelta(minutes=6))

    assert [True, False, False] == [verifies(CA.pem, bundle, time) for time in times]
    assert not verifies(make_authority(NOW, timedelta(days=60)).pem, bundle, NOW)


def test_openssl_takes_a_leaf_with_a_long_service_name() -> None:
    """Names longer than a common name may be."""
    now = datetime.now(UTC)
    ca = make_authority(now, timedelta(days=1))
    names = serving_names("s" * 63, "n" * 63, "cluster.local")
    leaf = issue(ca, names, now, timedelta(hours=1))
    bundle = parse_bundle(Content(leaf.pem, leaf.key))

    assert refusal(bundle, ca.pem, names[0]) is None
    assert "mismatch" in str(refusal(bundle, ca.pem, REGISTRATION.host))


def test_a_leaf_does_not_outlive_its_ca() -> None:
    """API servers check the CA's time as well."""
    leaf = issue(CA, TERMS.names, NOW + timedelta(days=59), timedelta(days=7))

    assert CA.certificate.not_valid_after_utc == leaf.certificate.not_valid_after_utc


def test_a_ca_signs_leaves_only_and_each_has_its_own_name() -> None:
    """A bundle of two never confuses whoever builds a chain."""
    other = make_authority(NOW, timedelta(days=60)).certificate
    constraints = CA.certificate.extensions.get_extension_for_class(x509.BasicConstraints)

    assert (True, 0) == (constraints.value.ca, constraints.value.path_length)
    assert constraints.critical
    assert other.subject != CA.certificate.subject


def test_keys_do_not_show() -> None:
    """Not in a traceback either."""
    assert "PRIVATE" not in repr(CA)


def test_two_thirds_of_a_life() -> None:
    """Counted from when it was made, so that a short life is not over at once."""
    certificate = LEAF.certificate
    turn = NOW + timedelta(days=7) * 2 / 3
    second = timedelta(seconds=1)

    assert [False, True] == [due(certificate, turn - second), due(certificate, turn)]
    assert not expired(certificate, certificate.not_valid_after_utc - second)
    assert expired(certificate, certificate.not_valid_after_utc)


FOREIGN = foreign(trustme.CA())
FOREIGN_LEAF = x509.load_pem_x509_certificate(FOREIGN.cert_chain_pems[0].bytes())


@pytest.mark.parametrize(
    ("pair", "reason"),
    [
        (CA, None),
        (Pair(CA.certificate, LEAF.key), "its key belongs to another"),
        (Pair(CA.certificate, b"no key"), "its key belongs to another"),
        (LEAF, "it is the certificate of a server"),
        (Pair(FOREIGN_LEAF, FOREIGN.private_key_pem.bytes()), "it is the certificate of a server"),
    ],
)
def test_what_can_sign(pair: Pair, reason: str | None) -> None:
    """A reason is a sentence, not an exception."""
    found = unfit_authority(pair)

    assert (found or "").startswith(reason or "")
    assert (reason is None) == (found is None)


def test_whose_leaf_it_is() -> None:
    """Checked by signature, not by name."""
    assert unfit_leaf(LEAF, CA) is None
    assert "has not signed it" in str(unfit_leaf(LEAF, make_authority(NOW, timedelta(days=60))))
    assert "key belongs to another" in str(unfit_leaf(Pair(LEAF.certificate, CA.key), CA))
