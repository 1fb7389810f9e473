"""Readiness by what is published: the table of webhook.tls.published, row by row, with real handshakes."""

from __future__ import annotations

import math
from base64 import b64encode

import pytest
import trustme
from prometheus_client import CollectorRegistry
from structlog.testing import capture_logs

from tests.tls.cluster import MUTATING, REGISTRATION, VALIDATING, Cluster, drive, forbidden
from webhook.kube.errors import Unreachable
from webhook.tls.bundle import Bundle, Content, parse_bundle
from webhook.tls.metrics import PublishedMetrics
from webhook.tls.published import Published
from webhook.tls.verify import refusal

CA, OTHER = trustme.CA(), trustme.CA()


def _bundle(ca: trustme.CA = CA, name: str = REGISTRATION.host, client_ca: bytes | None = None) -> Bundle:
    pair = ca.issue_cert(name)
    chain = b"".join(blob.bytes() for blob in pair.cert_chain_pems)
    return parse_bundle(Content(chain, pair.private_key_pem.bytes(), client_ca))


def _text(*cas: trustme.CA) -> str:
    return b64encode(b"".join(ca.cert_pem.bytes() for ca in cas)).decode()


class Watched:
    """A cluster, a certificate in use, and the readiness of both."""

    def __init__(self) -> None:
        self.cluster = Cluster()
        self.serving = _bundle()
        self.registry = CollectorRegistry()
        metrics = PublishedMetrics(self.registry)
        self.published = Published(self.cluster, REGISTRATION, lambda: self.serving, metrics, pause=self.cluster.pause)

    def look(self, times: int = 1) -> str | None:
        """Look, and give what is missing then."""
        for _ in range(times):
            drive(self.published.look())
        return self.published.missing()

    @property
    def gauge(self) -> float | None:
        """Give the metric."""
        return self.registry.get_sample_value("evenkeel_certificate_published")


@pytest.fixture
def watched() -> Watched:
    """Give a replica that nobody has verified yet."""
    return Watched()


def test_before_the_first_look_nobody_is_ready(watched: Watched) -> None:
    """`start` looks before a port is bound."""
    assert "not been looked at" in str(watched.published.missing())
    drive(watched.published.start())
    assert watched.published.missing() is None


def test_without_a_configuration_it_is_ready(watched: Watched) -> None:
    """Nobody calls us; a configuration that calls only others counts as none."""
    assert watched.look() is None
    watched.cluster.put(MUTATING, {"webhooks": [{"name": "x", "clientConfig": {"url": "https://x"}}]})
    assert watched.look() is None
    assert watched.gauge == 1


def test_a_bundle_that_verifies_is_ready(watched: Watched) -> None:
    """Among other CAs too, as in the middle of a change."""
    watched.cluster.install(bundle=_text(OTHER, CA))

    assert (None, 1) == (watched.look(), watched.gauge)


def test_a_wrong_bundle_is_named_with_configuration_issuer_and_reason(watched: Watched) -> None:
    """What an operator needs for mending it."""
    watched.cluster.install(MUTATING, bundle=_text(OTHER))
    sentence = str(watched.look())

    assert sentence.startswith(
        "the caBundle published in MutatingWebhookConfiguration evenkeel (webhook inject.evenkeel.dev) "
        "does not verify the serving certificate (issuer "
    )
    assert "unable to get local issuer certificate; webhook calls would fail" in sentence
    assert watched.gauge == 0


def test_an_empty_bundle_is_not_ready_yet(watched: Watched) -> None:
    """cert-manager's cainjector has not come by."""
    watched.cluster.install(bundle=_text(CA))
    watched.cluster.install(VALIDATING)

    assert (
        "the caBundle published in ValidatingWebhookConfiguration evenkeel (webhook inject.evenkeel.dev) is empty; "
        "webhook calls would fail"
    ) == watched.look()


def test_an_unreadable_bundle_is_not_ready(watched: Watched) -> None:
    """The API server refuses those; an old one may have been let in."""
    watched.cluster.install(bundle=b64encode(b"no PEM").decode())

    assert "holds no certificate that can be read" in str(watched.look())


def test_a_verified_replica_stays_while_some_calls_succeed(watched: Watched) -> None:
    """If all left, none would."""
    watched.cluster.install(bundle=_text(CA))
    watched.look()
    watched.cluster.install(VALIDATING, bundle=_text(OTHER))

    assert (None, 0) == (watched.look(9), watched.gauge)


def test_a_verified_replica_leaves_at_the_third_look_where_none_can_succeed(watched: Watched) -> None:
    """And comes back at the first that finds it mended."""
    watched.cluster.install(bundle=_text(CA))
    watched.look()
    watched.cluster.install(bundle=_text(OTHER))

    assert watched.look(2) is None
    assert "does not verify" in str(watched.look())
    watched.serving = _bundle(OTHER)
    assert watched.look() is None


def test_a_rotation_that_is_seen_from_both_sides_takes_nobody_out(watched: Watched) -> None:
    """The caBundle changes first, the mounted certificate a little later, as cert-manager does it."""
    watched.cluster.install(bundle=_text(CA))
    watched.look()
    watched.cluster.install(bundle=_text(OTHER))
    during = watched.look()
    watched.serving = _bundle(OTHER)

    assert (None, None) == (during, watched.look(5))


def test_an_api_server_that_cannot_be_read_leaves_the_verdict(watched: Watched) -> None:
    """Whether it can call us is another question."""
    watched.cluster.install(bundle=_text(OTHER))
    bad = watched.look()
    watched.cluster.failures["get", MUTATING] = Unreachable("get", MUTATING, "connection refused")

    assert bad == watched.look()


@pytest.mark.parametrize(
    "error", [Unreachable("get", MUTATING, "connection refused"), forbidden("get", MUTATING)], ids=["gone", "rbac"]
)
def test_an_api_server_that_was_never_read_holds_nobody_back(watched: Watched, error: Exception) -> None:
    """It is told once, and the metric says that it is not known."""
    watched.cluster.failures["get", MUTATING] = error  # type: ignore[assignment]
    with capture_logs() as lines:
        assert watched.look(3) is None

    assert 1 == len(lines)
    assert math.isnan(watched.gauge or 0)


def test_what_is_wrong_is_looked_at_sooner(watched: Watched) -> None:
    """A replica that waits for its caBundle does not wait ten seconds more."""
    waits: list[float] = []

    async def pause(seconds: float) -> None:
        waits.append(seconds)
        await watched.cluster.pause(seconds)

    published = Published(
        watched.cluster, REGISTRATION, lambda: watched.serving, PublishedMetrics(CollectorRegistry()), pause=pause
    )
    run = published.run()
    for _ in range(4):
        run.send(None)
    watched.cluster.install()
    for _ in range(4):
        run.send(None)
    run.close()

    assert [10.0, 10.0, 2.0] == waits[:3]


def test_a_name_that_is_not_ours_is_refused() -> None:
    """Chain and name; a common name does not count."""
    assert "ostname mismatch" in str(refusal(_bundle(name="localhost"), CA.cert_pem.bytes(), REGISTRATION.host))


def test_a_certificate_that_is_its_own_ca_may_be_published() -> None:
    """cert-manager's SelfSigned issuer makes such; API servers take them."""
    bundle = _bundle()

    assert refusal(bundle, bundle.content.certificate, REGISTRATION.host) is None


def test_cas_of_callers_play_no_part() -> None:
    """Whether a caller is let in is asked elsewhere."""
    bundle = _bundle(client_ca=OTHER.cert_pem.bytes())

    assert refusal(bundle, CA.cert_pem.bytes(), REGISTRATION.host) is None
