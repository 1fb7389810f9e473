"""A self-managed certificate and an API server: create once, publish first, serve then, and what goes wrong."""

from __future__ import annotations

import ssl
from base64 import b64encode
from datetime import timedelta

import pytest
import trustme
from cryptography import x509
from prometheus_client import CollectorRegistry
from structlog.testing import capture_logs

from tests.tls.cluster import (
    MUTATING,
    NOW,
    SECRET,
    VALIDATING,
    Cluster,
    drive,
    forbidden,
    rest,
)
from tests.tls.pairs import Handshake, trusting
from webhook.kube.errors import Forbidden
from webhook.tls.managed import ManagedCertificate
from webhook.tls.metrics import ManagedMetrics
from webhook.tls.plan import SPREAD

DAY = timedelta(days=1)


@pytest.fixture
def cluster() -> Cluster:
    """Give a cluster in which we are installed."""
    found = Cluster()
    found.install()
    return found


def _serial(replica: ManagedCertificate) -> int:
    """Give the serial number of what a caller sees in a handshake."""
    client = trusting(trustme.CA())
    client.check_hostname = False
    client.verify_mode = ssl.CERT_NONE
    shake = Handshake(replica.live.listener, client, name=None)
    return x509.load_der_x509_certificate(shake.client.getpeercert(binary_form=True) or b"").serial_number


def _look(*replicas: ManagedCertificate) -> None:
    for replica in replicas:
        drive(replica.look())


def test_the_first_replica_makes_publishes_and_serves(cluster: Cluster) -> None:
    """In this order."""
    replica = cluster.replica()
    drive(replica.start())

    changes = [(verb, path) for verb, path in cluster.calls if verb != "get"]
    assert [("create", SECRET), ("patch", MUTATING), ("patch", VALIDATING)] == changes
    assert {cluster.state.bundle} == set(cluster.bundles())
    assert cluster.state.leaf
    assert cluster.state.leaf.certificate.serial_number == _serial(replica)
    assert replica.missing() is None


def test_the_secret_is_one_of_tls(cluster: Cluster) -> None:
    """Kubernetes and people know what it is."""
    drive(cluster.replica().start())
    secret = cluster.objects[SECRET]

    assert ("v1", "Secret", "kubernetes.io/tls") == (secret["apiVersion"], secret["kind"], secret["type"])
    assert {"tls.crt", "tls.key", "ca.crt", "signing-ca.crt", "signing-ca.key"} == set(secret["data"])


def test_a_look_at_what_is_right_changes_nothing(cluster: Cluster) -> None:
    """Three reads."""
    replica = cluster.replica()
    drive(replica.start())
    cluster.calls.clear()
    _look(replica)

    assert [("get", MUTATING), ("get", VALIDATING), ("get", SECRET)] == cluster.calls


def test_only_our_entries_and_only_their_bundle_are_touched(cluster: Cluster) -> None:
    """Of somebody else's Service in the same configuration nothing is known."""
    before = cluster.objects[MUTATING]["webhooks"]
    drive(cluster.replica().start())
    after = cluster.objects[MUTATING]["webhooks"]
    text = b64encode(cluster.state.bundle).decode()
    for index in (0, 2):
        before[index]["clientConfig"]["caBundle"] = text

    assert before == after


def test_a_renewal_reaches_every_replica(cluster: Cluster) -> None:
    """One writes, all serve; connections live on as in test_rotation."""
    replicas = [cluster.replica(), cluster.replica()]
    for replica in replicas:
        drive(replica.start())
    old = {_serial(replica) for replica in replicas}
    cluster.now += 5 * DAY
    _look(*replicas)
    new = {_serial(replica) for replica in replicas}

    assert (1, 1) == (len(old), len(new))
    assert old != new


def test_a_ca_is_changed_with_every_leaf_verified(cluster: Cluster) -> None:
    """Whoever lags behind is still verified."""
    fast, slow = cluster.replica(), cluster.replica()
    drive(fast.start())
    drive(slow.start())
    first = cluster.state.signing
    cluster.now = NOW + 41 * DAY
    _look(fast)
    _look(slow)
    for _ in range(3):
        cluster.now += SPREAD
        _look(fast)
        assert cluster.accepts(fast.live.bundle)
        assert cluster.accepts(slow.live.bundle)

    assert cluster.state.signing != first
    assert cluster.state.leaving == (first.certificate,)


def test_a_bundle_that_somebody_overwrote_is_mended(cluster: Cluster) -> None:
    """GitOps without the ignore rule."""
    registry = CollectorRegistry()
    replica = cluster.replica(metrics=ManagedMetrics(registry))
    drive(replica.start())
    cluster.install(MUTATING, bundle="")
    _look(replica)

    writes = {
        kind: registry.get_sample_value("evenkeel_ca_bundle_writes_total", {"kind": kind})
        for kind in ("MutatingWebhookConfiguration", "ValidatingWebhookConfiguration")
    }
    assert {"MutatingWebhookConfiguration": 2.0, "ValidatingWebhookConfiguration": 1.0} == writes
    assert {cluster.state.bundle} == set(cluster.bundles())


def test_a_configuration_that_comes_later_is_published_to() -> None:
    """Its absence is told once."""
    cluster = Cluster()
    replica = cluster.replica()
    with capture_logs() as lines:
        drive(replica.start())
        _look(replica)
    cluster.install()
    _look(replica)

    assert 1 == sum("no webhook configuration calls us yet" in line["event"] for line in lines)
    assert {cluster.state.bundle} == set(cluster.bundles())


def test_a_leaf_is_not_served_before_its_bundle_is_published(cluster: Cluster) -> None:
    """Where publishing fails, what was served stays, and the operator is told."""
    replica = cluster.replica()
    drive(replica.start())
    before = replica.live.bundle
    cluster.objects.pop(SECRET)
    other = cluster.replica()
    cluster.failures["patch", MUTATING] = forbidden("patch", MUTATING)
    refused = drive(other.start())
    _look(replica)

    assert isinstance(refused[0], Forbidden)
    assert "no certificate has been obtained yet" == other.missing()
    assert before == replica.live.bundle
    assert cluster.accepts(before)

    cluster.failures.clear()
    _look(replica, other)
    assert before != replica.live.bundle
    assert replica.live.bundle.content == other.live.bundle.content


def test_a_stale_replica_does_not_undo_a_publication(cluster: Cluster) -> None:
    """It stops between its reading and its writing, for as long as another needs to change the CA."""
    stale, fast = cluster.replica(), cluster.replica()
    drive(fast.start())
    drive(stale.start())
    cluster.install()
    cluster.calls.clear()
    halfway = stale.look()
    while ("get", SECRET) not in cluster.calls:
        halfway.send(None)
    cluster.now = NOW + 41 * DAY
    _look(fast)
    drive(rest(halfway))

    assert 2 == len(cluster.state.authorities)
    assert {cluster.state.bundle} == set(cluster.bundles())


def test_a_deleted_secret_comes_back_and_no_call_is_lost(cluster: Cluster) -> None:
    """What is served stays verified until the next CA has been seen by all."""
    replica = cluster.replica()
    drive(replica.start())
    served = replica.live.bundle
    cluster.objects.pop(SECRET)
    _look(replica)

    assert served == replica.live.bundle
    assert 2 == len(cluster.state.authorities)
    assert cluster.accepts(served)


def test_a_secret_of_cert_manager_is_taken_over_with_a_warning(cluster: Cluster) -> None:
    """Who changes from one way to the other may have left the Certificate behind."""
    annotations = {"cert-manager.io/certificate-name": "evenkeel-webhook", "team": "shop"}
    data = {"tls.crt": "bm8=", "tls.key": "bm8=", "ca.crt": "bm8="}
    metadata = {"name": "evenkeel-webhook-tls", "annotations": annotations}
    cluster.put(SECRET, {"type": "kubernetes.io/tls", "metadata": metadata, "data": data})
    with capture_logs() as lines:
        drive(cluster.replica().start())

    warned = [line["certificate"] for line in lines if line["event"] == "cert-manager wrote our Secret"]
    assert ["evenkeel-webhook"] == warned
    assert {"team": "shop"} == cluster.objects[SECRET]["metadata"]["annotations"]
    assert {cluster.state.bundle} == set(cluster.bundles())


def test_an_empty_secret_that_came_with_the_installation_is_filled(cluster: Cluster) -> None:
    """Its type and labels stay as they are."""
    cluster.put(SECRET, {"type": "Opaque", "metadata": {"name": "evenkeel-webhook-tls", "labels": {"a": "b"}}})
    drive(cluster.replica().start())
    secret = cluster.objects[SECRET]

    assert ("Opaque", {"a": "b"}) == (secret["type"], secret["metadata"]["labels"])
    assert ("create", SECRET) not in cluster.calls
    assert {cluster.state.bundle} == set(cluster.bundles())
