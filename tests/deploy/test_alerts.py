"""The alerts ask for metrics that exist; for those of the API server see tests/cluster/test_alerts.py."""

from __future__ import annotations

import re
from collections.abc import Iterator

from prometheus_client.exposition import generate_latest

from tests.cluster.kit.calls import FAIL_OPENS
from tests.deploy.objects import COMPONENTS, read
from webhook.kube.metrics import DiscoveryMetrics
from webhook.observe import Metrics, Result
from webhook.reconcile.metrics import ReconcilerMetrics
from webhook.server.request_metrics import RequestMetrics
from webhook.tls.metrics import CertificateMetrics, PublishedMetrics
from webhook.xds.metrics import Ending, XdsMetrics
from webhook.xds.refusals import Refusals

[RULE] = read(COMPONENTS / "alerts" / "alerts.yaml")
ALERTS = {one["alert"]: one for group in RULE["spec"]["groups"] for one in group["rules"]}


def _metrics(prefix: str) -> Iterator[str]:
    for alert in ALERTS.values():
        yield from re.findall(rf"\b{prefix}\w+", alert["expr"])


def test_every_metric_of_ours_exists() -> None:
    """Every process has its own from its first moment."""
    metrics = Metrics()
    RequestMetrics(metrics.registry, "admission", "/mutate")
    for part in (CertificateMetrics, DiscoveryMetrics, ReconcilerMetrics, PublishedMetrics, XdsMetrics, Refusals):
        part(metrics.registry)
    known = set(re.findall(r"^# TYPE (\w+)", text_of(metrics), re.MULTILINE))

    asked = set(_metrics("evenkeel_"))

    assert len(asked) >= 10
    assert {re.sub(r"_bucket$", "", one) for one in asked} <= known


def test_what_is_said_is_whole() -> None:
    """A severity, a summary, and what it means."""
    assert all({"summary", "description"} == alert["annotations"].keys() for alert in ALERTS.values())
    assert {alert["labels"]["severity"] for alert in ALERTS.values()} == {"warning", "critical"}
    assert f'result="{Result.CRASHED.value}"' in ALERTS["EvenkeelBug"]["expr"]
    assert f'reason="{Ending.BUG.value}"' in ALERTS["EvenkeelBug"]["expr"]


def test_clients_that_are_let_in_raise_no_alert() -> None:
    """Those without a token are let in only where the operator allows it."""
    metrics = Metrics()
    refusals = Refusals(metrics.registry)
    refusals.admitted(proved=True)
    refusals.admitted(proved=False)
    counted = set(re.findall(r'^evenkeel_xds_authentications_total{result="(\S+)"} 1', text_of(metrics), re.MULTILINE))
    [passed_over] = re.findall(r'result!~"(\S+)"', ALERTS["EvenkeelClientsNotLetIn"]["expr"])

    assert counted == set(passed_over.split("|"))


def test_a_certificate_that_is_not_loaded_is_none_that_has_expired() -> None:
    """A program that has none says nothing, and one that begins says that it does not know: NaN is below no bound."""
    metrics = Metrics()
    before = text_of(metrics)
    CertificateMetrics(metrics.registry)

    assert "evenkeel_certificate" not in before
    assert "evenkeel_certificate_lifetime_remaining_ratio NaN" in text_of(metrics)
    assert ALERTS["EvenkeelCertificateNotRenewed"]["expr"].startswith(
        "min(evenkeel_certificate_lifetime_remaining_ratio) <"
    )


def text_of(metrics: Metrics) -> str:
    """Give what Prometheus reads."""
    return generate_latest(metrics.registry).decode()


def test_calls_that_failed_open_are_asked_for_as_they_are_counted() -> None:
    """By the name that the tests on a real API server read."""
    assert FAIL_OPENS in ALERTS["EvenkeelNotCalled"]["expr"]
