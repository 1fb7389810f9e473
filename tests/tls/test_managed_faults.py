"""What goes wrong for a self-managed certificate: no answer, no rights, lost races, files that vanish."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
import trustme
from prometheus_client import CollectorRegistry
from structlog.testing import capture_logs

from tests.tls.cluster import (
    SECRET,
    TERMS,
    Cluster,
    drive,
    forbidden,
    rest,
)
from webhook.core.errors import SettingsError
from webhook.kube.errors import Conflict, Unreachable
from webhook.tls.managed import ManagedCertificate
from webhook.tls.metrics import ManagedMetrics

DAY = timedelta(days=1)


@pytest.fixture
def cluster() -> Cluster:
    """Give a cluster in which we are installed."""
    found = Cluster()
    found.install()
    return found


def _look(*replicas: ManagedCertificate) -> None:
    for replica in replicas:
        drive(replica.look())


def test_start_waits_for_an_api_server_that_does_not_answer(cluster: Cluster) -> None:
    """And says so once."""
    cluster.failures["get", SECRET] = Unreachable("get", SECRET, "connection refused")
    replica = cluster.replica()
    start = replica.start()
    with capture_logs() as lines:
        for _ in range(30):
            start.send(None)
        cluster.failures.clear()
        drive(rest(start))

    assert 1 == sum(line["event"] == "no certificate yet, trying again" for line in lines)
    assert replica.missing() is None


def test_start_ends_with_a_sentence_where_rbac_is_too_small(cluster: Cluster) -> None:
    """A crash loop with a reason."""
    cluster.failures["create", SECRET] = forbidden("create", SECRET)
    (error,) = drive(cluster.replica().start())

    assert "forbidden: the account may not" in str(error)


def test_whoever_keeps_being_faster_ends_a_look(cluster: Cluster) -> None:
    """No endless loop; the next look tries again, and every lost race is counted."""
    registry = CollectorRegistry()
    replica = cluster.replica(metrics=ManagedMetrics(registry))
    cluster.failures["create", SECRET] = Conflict("create", SECRET, "again")
    (error,) = drive(replica.look())

    assert isinstance(error, Conflict)
    assert 5.0 == registry.get_sample_value("evenkeel_managed_certificate_conflicts_total")
    assert 1.0 == registry.get_sample_value("evenkeel_managed_certificate_failures_total")


def test_a_failing_look_is_told_once_and_ends_nothing(cluster: Cluster) -> None:
    """The certificate in use has days left."""
    replica = cluster.replica()
    drive(replica.start())
    cluster.failures["get", SECRET] = Unreachable("get", SECRET, "connection refused")
    run = replica.run()
    with capture_logs() as lines:
        for _ in range(20):
            run.send(None)
    run.close()

    assert ["certificates could not be looked after"] == [line["event"] for line in lines]
    assert replica.missing() is None


def test_the_metrics_name_the_reason_of_a_change(cluster: Cluster) -> None:
    """Renewals by reason."""
    registry = CollectorRegistry()
    replica = cluster.replica(metrics=ManagedMetrics(registry))
    drive(replica.start())
    cluster.now += 5 * DAY
    _look(replica)

    counted = {
        sample.labels["reason"]: sample.value
        for metric in registry.collect()
        for sample in metric.samples
        if sample.name == "evenkeel_managed_certificate_changes_total" and sample.value
    }
    assert {"created": 1.0, "leaf-old": 1.0} == counted


def test_cas_of_callers_are_read_from_their_file(cluster: Cluster, tmp_path: Path) -> None:
    """They are exchanged like a certificate's, and one that vanishes leaves those in use."""
    file = tmp_path / "ca.crt"
    with pytest.raises(SettingsError):
        drive(cluster.replica(TERMS, client_ca=file).start())
    file.write_bytes(trustme.CA().cert_pem.bytes())
    replica = cluster.replica(TERMS, client_ca=file)
    drive(replica.start())
    first = replica.live.bundle.content.client_ca
    file.write_bytes(trustme.CA().cert_pem.bytes())
    _look(replica)
    second = replica.live.bundle.content.client_ca
    file.unlink()
    _look(replica)

    assert first
    assert first != second
    assert second == replica.live.bundle.content.client_ca
