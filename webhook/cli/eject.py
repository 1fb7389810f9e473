"""`evenkeel eject`: the same documents without the sidecar; what is not ours is not touched."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from webhook.cli.documents import rewritten
from webhook.cli.report import Report, write_result
from webhook.cli.workloads import Input, workloads
from webhook.core.eject import eject
from webhook.manifests import Change
from webhook.manifests.cut import take_out


def run_eject(given: Input, report: Report) -> int:
    """Take the sidecar out of every workload and write all documents; gives 0, or 1 with nothing written."""
    problems: list[str] = []
    every = list(workloads(given, problems))
    if problems:
        report.problems([*problems, f"{_count(len(problems), 'problem')}, nothing is written"])
        return 1
    changes: defaultdict[int, list[Change]] = defaultdict(list)
    for workload in every:
        operations = eject(workload.pod)
        if operations:
            changes[id(workload.document)].append((workload.template, operations))
            report.good(str(workload), "ejected")
        else:
            report.careful(str(workload), "nothing of the sidecar is there")
    text = rewritten(given.documents, changes, take_out, report)
    report.summary(_summary(given, [len(some) for some in changes.values()], len(every)))
    return 0 if write_result(text) else 1


def _summary(given: Input, ejected: Sequence[int], every: int) -> str:
    holding = sum(1 for document in given.documents if document.value is not None)
    if not every:
        return f"no workload in {_count(holding, 'document')}"
    return f"{sum(ejected)} ejected, {every - sum(ejected)} without, in {_count(holding, 'document')}"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
