"""What a sidecar tells Prometheus."""

from __future__ import annotations

import httpx
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from webhook.core.model import Ports


async def scrape(address: str) -> list[Sample]:
    """Give the samples as Prometheus' own library reads them: it lets the names of all counters end in `_total`."""
    async with httpx.AsyncClient(trust_env=False) as client:
        answer = await client.get(f"http://{address}:{Ports().probe}/stats/prometheus")
    return [sample for family in text_string_to_metric_families(answer.text) for sample in family.samples]
