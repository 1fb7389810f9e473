"""What is measured side by side: which server gets which Pod, and what each round gave."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

import jsonpatch
import orjson
from caller import Counted, Target, call_once
from machine import cpu_seconds
from report import median, quantile
from reviews import requests
from served import Field, Served

_SIDECAR: Final = "evenkeel-proxy"


@dataclass(frozen=True, slots=True)
class Round:
    """One round of one subject."""

    counted: Counted
    server_cpu: float


@dataclass(slots=True)
class Subject:
    """One server with one Pod."""

    name: str
    pod: str
    served: Served
    target: Target
    rounds: list[Round] = field(default_factory=list)

    @property
    def cpu_per_request(self) -> float:
        """Give the server's CPU seconds for one request, over all rounds."""
        answered = sum(len(each.counted.latencies) for each in self.rounds)
        return sum(each.server_cpu for each in self.rounds) / max(1, answered)

    def row(self, ceiling: Subject) -> dict[str, Any]:
        """Sum up all rounds; the ratio is of rounds that stood next to each other, so that drift cancels."""
        latencies = [second * 1000 for each in self.rounds for second in each.counted.latencies]
        pairs = zip(self.rounds, ceiling.rounds, strict=True)
        return {
            "subject": self.name,
            "pod": self.pod,
            "per_second": round(median([each.counted.per_second for each in self.rounds]), 1),
            "p50_ms": round(quantile(latencies, 0.5), 3),
            "p99_ms": round(quantile(latencies, 0.99), 3),
            "max_ms": round(max(latencies, default=0.0), 3),
            "cpu_s_per_1000": round(1000 * self.cpu_per_request, 3),
            "to_ceiling": round(median([a.counted.per_second / b.counted.per_second for a, b in pairs]), 3),
            "to_ceiling_cpu": round(ceiling.cpu_per_request / max(self.cpu_per_request, 1e-9), 3),
            "caller_busy": round(median([each.counted.caller_cpu / each.counted.seconds for each in self.rounds]), 2),
            "requests": len(latencies),
            "failed": sum(each.counted.failed for each in self.rounds),
            "per_second_by_round": [round(each.counted.per_second, 1) for each in self.rounds],
        }

    def add(self, counted: Counted, cpu_before: float) -> None:
        """Keep a round that has just ended."""
        self.rounds.append(Round(counted, cpu_seconds(self.served.pid) - cpu_before))


async def make_subjects(servers: Field, pods: Mapping[str, Mapping[str, Any]]) -> list[Subject]:
    """Pair servers with Pods; a right answer of each is looked at once, later ones must be as long.

    The ceiling gets the same requests and answers as many bytes as Evenkeel does.
    """
    made = []
    for name, pod in pods.items():
        ours = await _checked(Target(servers.evenkeel.port, servers.context, requests(pod)), pod)
        same = requests(pod, f"/{ours.answer_bytes}")
        above = replace(ours, port=servers.ceiling.port, requests=same)
        diff = await _checked(replace(ours, port=servers.fastapi.port, answer_bytes=0), pod)
        made += [
            Subject("evenkeel", name, servers.evenkeel, ours),
            Subject("ceiling", name, servers.ceiling, above),
            Subject("fastapi", name, servers.fastapi, diff),
        ]
    return made


async def _checked(target: Target, pod: Mapping[str, Any]) -> Target:
    """Apply a server's answer to the Pod, and note how long it is."""
    good, body = await call_once(target)
    if not good:
        raise RuntimeError(f"the server did not answer 200: {body[:300]!r}")
    patch = orjson.loads(base64.b64decode(orjson.loads(body)["response"]["patch"]))
    patched = jsonpatch.apply_patch(dict(pod), patch)
    if patched["spec"]["initContainers"][0]["name"] != _SIDECAR:
        raise RuntimeError("the server's patch does not put the sidecar first")
    return replace(target, answer_bytes=len(body))


def ceiling_of(subject: Subject, subjects: list[Subject]) -> Subject:
    """Give the ceiling for the same Pod."""
    return next(each for each in subjects if each.name == "ceiling" and each.pod == subject.pod)
