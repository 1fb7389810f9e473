"""Readiness, liveness and metrics."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from webhook.catalog_files import CatalogHolder
from webhook.core.catalog import Catalog
from webhook.core.model import Problem
from webhook.observe import Metrics, Reason, Result
from webhook.server.health import Readiness, health_app
from webhook.server.request_metrics import RequestMetrics
from webhook.tls.metrics import CertificateMetrics


async def _get(readiness: Readiness, path: str, metrics: Metrics | None = None) -> httpx.Response:
    transport = httpx.ASGITransport(app=health_app(readiness, metrics or Metrics()))
    async with httpx.AsyncClient(transport=transport, base_url="http://evenkeel") as client:
        return await client.get(path)


async def test_ready_when_nothing_is_missing() -> None:
    """All checks pass, so admissions may come."""
    answer = await _get(Readiness({"certificate": lambda: None}), "/readyz")

    assert (200, {"ready": True, "missing": []}) == (answer.status_code, answer.json())


async def test_not_ready_lists_everything_that_is_missing() -> None:
    """Whoever looks at the probe learns all of it at once."""
    readiness = Readiness({"certificate": lambda: "expired", "catalog": CatalogHolder().missing})
    readiness.drain()

    answer = await _get(readiness, "/readyz")

    expected = ["certificate: expired", "catalog: the Services are not known yet"]
    assert (503, expected) == (answer.status_code, answer.json()["missing"][:2])
    assert answer.json()["missing"][2].startswith("draining: ")


async def test_liveness_depends_on_nothing() -> None:
    """A restart mends neither a certificate nor a catalog."""
    answer = await _get(Readiness({"certificate": lambda: "expired"}), "/livez")

    assert 200 == answer.status_code


def test_a_published_catalog_is_no_longer_missing() -> None:
    """The holder is content from then on."""
    holder = CatalogHolder()
    holder.publish(Catalog())

    assert holder.missing() is None
    assert isinstance(holder.current, Catalog)


@pytest.mark.parametrize(
    "name",
    [
        'evenkeel_admissions_total{reason="selected",result="injected"} 1.0',
        'evenkeel_admission_duration_seconds_bucket{le="0.0005"} 1.0',
        "evenkeel_catalog_services 3.0",
        "evenkeel_catalog_upstreams 4.0",
        'evenkeel_catalog_problems{code="no-port"} 2.0',
        "evenkeel_catalog_last_success_timestamp_seconds 1",
        "evenkeel_catalog_reload_failures_total 1.0",
        "evenkeel_certificate_expiry_timestamp_seconds 2000.0",
        "evenkeel_certificate_lifetime_remaining_ratio 0.0",
        'evenkeel_certificate_reloads_total{result="loaded"} 1.0',
        'evenkeel_certificate_reloads_total{result="refused"} 1.0',
        'evenkeel_build_info{version="',
        "process_resident_memory_bytes",
    ],
)
async def test_metrics_are_exposed(name: str) -> None:
    """Every metric of the contract is there, with labels that only enums fill."""
    metrics = Metrics()
    RequestMetrics(metrics.registry, "admission", "/mutate").count(Result.INJECTED, Reason.SELECTED, 0.0004)
    problem: Any = Problem("no-port", "Service shop/orders", "has no port")
    metrics.catalog.loaded(3, 4, [problem, problem])
    metrics.catalog.failed()
    certificate = CertificateMetrics(metrics.registry)
    certificate.loaded(1000.0, 2000.0)
    certificate.refused()

    answer = await _get(Readiness({}), "/metrics", metrics)

    assert name in answer.text
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
