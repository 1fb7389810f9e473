"""`evenkeel inject`: the same documents with the sidecar in, and a reason for every workload."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Final

from webhook.cli.documents import rewritten
from webhook.cli.report import Report, write_result
from webhook.cli.workloads import Input, Verdict, judge, workloads
from webhook.core.inject import Injector
from webhook.core.outcome import Outcome, SkipReason
from webhook.manifests import Change, Document, rewrite

_ON_PURPOSE: Final = (
    SkipReason.DISABLED,
    SkipReason.NAMESPACE_DISABLED,
    SkipReason.NOT_SELECTED,
    SkipReason.ALREADY_INJECTED,
)
"""Skips that are what the workload's author asked for, or has already."""
_SHOWN: Final = 10


def run_inject(given: Input, injector: Injector, report: Report, *, everything: bool, strict: bool) -> int:
    """Inject what is selected and write all documents; gives 0, or 1 with nothing written."""
    problems: list[str] = []
    verdicts = []
    # One after the other, so that problems come in the order of the documents.
    for workload in workloads(given, problems):
        verdicts.append(judge(workload, given, injector, labelled=everything))
        problems += verdicts[-1].problems
    _tell(given, verdicts, report)
    if strict:
        problems += _unwilling(verdicts)
    if problems:
        report.problems([*problems, f"{_count(len(problems), 'problem')}, nothing is written"])
        return 1
    text = _rewritten(given.documents, verdicts, report)
    _summarise(given, verdicts, report)
    return 0 if write_result(text) else 1


def _tell(given: Input, verdicts: Iterable[Verdict], report: Report) -> None:
    for problem in given.catalog.problems:
        report.careful(problem.where, f"warning: {problem.message}")
    for verdict in verdicts:
        outcome = verdict.outcome
        if outcome is None:
            continue
        if outcome.skip is not None:
            report.careful(str(verdict.workload), f"skipped {outcome.skip.reason}: {outcome.skip.detail}")
        else:
            report.good(str(verdict.workload), f"injected ({_upstreams(outcome)})")
        for warning in verdict.warnings:
            report.careful(str(verdict.workload), f"warning: {warning}")


def _upstreams(outcome: Outcome) -> str:
    upstreams = outcome.sidecar.upstreams if outcome.sidecar else ()
    if not upstreams:
        return "no upstream yet"
    more = f" and {len(upstreams) - _SHOWN} more" if len(upstreams) > _SHOWN else ""
    return f"{_count(len(upstreams), 'upstream')}: {', '.join(upstreams[:_SHOWN])}{more}"


def _unwilling(verdicts: Iterable[Verdict]) -> list[str]:
    """Give the workloads that want a sidecar and get none, as problems."""
    return [
        f"{verdict.workload.document.where(verdict.workload.place)}: {verdict.workload}: gets no sidecar "
        f"({verdict.outcome.skip.reason}), and --strict asks for one"
        for verdict in verdicts
        if verdict.outcome and verdict.outcome.skip and verdict.outcome.skip.reason not in _ON_PURPOSE
    ]


def _rewritten(documents: Sequence[Document], verdicts: Iterable[Verdict], report: Report) -> str:
    changes: defaultdict[int, list[Change]] = defaultdict(list)
    for verdict in verdicts:
        if verdict.outcome is not None and verdict.outcome.operations:
            place = id(verdict.workload.document)
            changes[place].append((verdict.workload.template, verdict.outcome.operations))
    return rewritten(documents, changes, rewrite, report)


def _summarise(given: Input, verdicts: Sequence[Verdict], report: Report) -> None:
    injected = sum(1 for verdict in verdicts if verdict.outcome and verdict.outcome.injected)
    holding = sum(1 for document in given.documents if document.value is not None)
    documents = _count(holding, "document")
    if not verdicts:
        report.summary(f"no workload in {documents}")
        return
    waiting = any(v.outcome and v.outcome.skip and v.outcome.skip.reason is SkipReason.NOT_SELECTED for v in verdicts)
    hint = "; --all injects as if the namespaces were labelled" if waiting and not injected else ""
    report.summary(f"{injected} injected, {len(verdicts) - injected} skipped, in {documents}{hint}")


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
