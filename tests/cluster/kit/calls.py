"""How often the API server called which webhook, as it counts itself, and what came of it, as our replicas count."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Final

import httpx

from tests.cluster.kit.install import Installed
from tests.cluster.kit.world import World

BY_NAMESPACE: Final = "inject.evenkeel.dev"
"""The entry for namespaces that say enabled."""
BY_POD: Final = "inject-pods.evenkeel.dev"
"""The entry for Pods that ask for themselves."""
FAIL_OPENS: Final = "apiserver_admission_webhook_fail_open_count"
"""Calls that failed, and after which the API server went on without us."""
_CALLS: Final = "apiserver_admission_webhook_request_total"
_EXCLUDED: Final = "apiserver_admission_match_condition_exclusions_total"
_FAILED: Final = "apiserver_admission_match_condition_evaluation_errors_total"
_ANSWERS: Final = "evenkeel_admissions_total"


@asynccontextmanager
async def calls(world: World, *, kind: str = "admit") -> AsyncIterator[Counter[str]]:
    """Count the API server's calls of webhooks in a block, by the entry's name; complete when the block is left.

    A Pod that an entry's match condition dropped counts as `not NAME`, a condition that failed as `failed NAME`,
    a call that came to nothing and was passed over also as `open NAME`.
    """
    found: Counter[str] = Counter()
    before = await _made(world, kind)
    yield found
    found.update((await _made(world, kind)) - before)


@asynccontextmanager
async def answers(evenkeel: Installed) -> AsyncIterator[Counter[str]]:
    """Count what our replicas answered in a block, as `RESULT REASON`; the same replicas must live through it."""
    found: Counter[str] = Counter()
    before = await _answered(evenkeel)
    yield found
    found.update((await _answered(evenkeel)) - before)


async def _made(world: World, kind: str) -> Counter[str]:
    text = await world.plane.metrics()
    found: Counter[str] = Counter()
    for metric, prefix in ((_CALLS, ""), (_EXCLUDED, "not "), (_FAILED, "failed "), (FAIL_OPENS, "open ")):
        for labels, value in series(text, metric):
            # An entry's conditions are counted under `admit` too, its failures under `admitting`.
            if labels.get("type", "").startswith(kind):
                found[f"{prefix}{labels['name']}"] += int(value)
    return found


async def _answered(evenkeel: Installed) -> Counter[str]:
    found: Counter[str] = Counter()
    async with httpx.AsyncClient(trust_env=False, timeout=5) as client:
        for replica in evenkeel.replicas():
            text = (await client.get(f"http://{replica.address}:8080/metrics")).text
            for labels, value in series(text, _ANSWERS):
                found[f"{labels['result']} {labels['reason']}"] += int(value)
    return found


def series(text: str, metric: str) -> Iterator[tuple[dict[str, str], float]]:
    """Give the labels and value of every series of a metric in Prometheus' text."""
    for labels, value in re.findall(rf"^{re.escape(metric)}\{{(.*)\}} (\S+)$", text, re.MULTILINE):
        yield dict(re.findall(r'(\w+)="([^"]*)"', labels)), float(value)
