"""What an admission costs without a socket, stage by stage, in this process."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

import orjson
from report import median, quantile
from reviews import review, services

from webhook.core.catalog import build_catalog
from webhook.core.inject import Injector
from webhook.core.model import SidecarSettings
from webhook.server.review import allowed, read_request, read_subject
from webhook.templates import dump, load_templates


def stages(pods: Mapping[str, Mapping[str, Any]], repeats: int) -> list[dict[str, Any]]:
    """Time the stages of each Pod's admission: reading the review, `Injector.admit`, writing the answer."""
    catalog = build_catalog(services()["items"])
    injector = Injector(SidecarSettings(), load_templates(None), dump)
    rows = []
    for name, document in pods.items():
        body = orjson.dumps(review(document))
        request = read_request(body)
        pod = read_subject(request)
        outcome = injector.admit(pod, catalog, None)
        answer = allowed(request.uid, outcome)
        timed = {
            "read": _timed(lambda body=body: read_subject(read_request(body)), repeats),
            "admit": _timed(lambda pod=pod: injector.admit(pod, catalog, None), repeats),
            "answer": _timed(lambda uid=request.uid, outcome=outcome: allowed(uid, outcome), repeats),
        }
        sizes = {"review_bytes": len(body), "answer_bytes": len(answer)}
        rows.append({"pod": name, **sizes, **_row(timed)})
    return rows


def _timed(work: Callable[[], object], repeats: int) -> list[float]:
    """Give the microseconds of each repetition; the first ones, which fill caches, are not counted."""
    for _ in range(10):
        work()
    times = []
    for _ in range(repeats):
        begun = time.perf_counter()
        work()
        times.append((time.perf_counter() - begun) * 1e6)
    return times


def _row(timed: Mapping[str, list[float]]) -> dict[str, float]:
    row = {f"{stage}_p50_us": round(median(times), 1) for stage, times in timed.items()}
    return {**row, "admit_p99_us": round(quantile(timed["admit"], 0.99), 1)}
