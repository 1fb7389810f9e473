"""`evenkeel config`: what Envoy would run for one workload."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple

import typer
import yaml

from webhook.cli.report import Report, write_result
from webhook.cli.workloads import Input, Verdict, Workload, judge, workloads
from webhook.core import names
from webhook.core.annotations import nearest
from webhook.core.envoy.static import as_static
from webhook.core.errors import ManifestError
from webhook.core.inject import Injector
from webhook.core.outcome import SkipReason
from webhook.core.workloads import KINDS
from webhook.templates import dump

_SHORT: Final = {
    "po": "Pod",
    "deploy": "Deployment",
    "sts": "StatefulSet",
    "ds": "DaemonSet",
    "rs": "ReplicaSet",
    "rc": "ReplicationController",
    "job": "Job",
    "cj": "CronJob",
}
_KINDS: Final = {**{kind.lower(): kind for kind in KINDS}, **{f"{kind.lower()}s": kind for kind in KINDS}, **_SHORT}
_STATIC: Final = "static.yaml"


class Target(NamedTuple):
    """The workload asked for."""

    kind: str
    name: str

    def __str__(self) -> str:
        """Give it as people write it."""
        return f"{self.kind} {self.name}"


def read_target(text: str) -> Target:
    """Read KIND/NAME, the kind as kubectl takes it; raises a usage error."""
    kind, slash, name = text.partition("/")
    if not (slash and kind and name) or "/" in name:
        raise typer.BadParameter(f"found {text!r}; expected KIND/NAME such as deploy/web", param_hint="KIND/NAME")
    known = _KINDS.get(kind.lower())
    if known is None:
        accepted = f"expected one of {', '.join(KINDS)}{nearest(kind.lower(), _KINDS)}"
        raise typer.BadParameter(f"found the kind {kind!r}; {accepted}", param_hint="KIND/NAME")
    return Target(known, name)


def run_config(
    given: Input, injector: Injector, report: Report, target: Target, *, static: bool, folder: Path | None
) -> int:
    """Print the configuration, or write its files; gives 0, or 1 with the reason why there is none.

    Raises ManifestError if there is no such workload, more than one, or if it is rejected.
    """
    problems: list[str] = []
    every = list(workloads(given, problems))
    verdict = judge(_pick(every, target, given.namespace, problems), given, injector, labelled=True)
    if verdict.problems:
        raise ManifestError(verdict.problems)
    for warning in verdict.warnings:
        report.careful(str(verdict.workload), f"warning: {warning}")
    files = _files(verdict)
    if not files:
        skip = verdict.outcome.skip if verdict.outcome else None
        report.problems([f"{verdict.workload}: skipped {skip.reason}: {skip.detail}" if skip else "no configuration"])
        return 1
    chosen = {_STATIC: _static(files)} if static else files
    if folder is not None:
        return _write(chosen, folder, report)
    return 0 if write_result(_stream(chosen)) else 1


def _pick(every: Sequence[Workload], target: Target, namespace: str, problems: Sequence[str]) -> Workload:
    found = [one for one in every if (one.kind, one.name) == target]
    if len(found) > 1:
        found = [one for one in found if one.namespace == namespace] or found
    if len(found) == 1:
        return found[0]
    if found:
        raise ManifestError([f"found {target} more than once: {_list(found)}; expected --namespace to name one"])
    there = f"there is {_list(every)}" if every else "there is no workload at all"
    raise ManifestError([*problems, f"found no {target} in the manifests; {there}"])


def _list(every: Sequence[Workload]) -> str:
    return ", ".join(dict.fromkeys(map(str, every)))


def _files(verdict: Verdict) -> Mapping[str, str]:
    """Give the sidecar's files by name; of a workload that is already injected, those it carries."""
    outcome = verdict.outcome
    if outcome is None:
        return {}
    if outcome.skip is not None and outcome.skip.reason is SkipReason.ALREADY_INJECTED:
        annotations = verdict.workload.pod.annotations
    else:
        annotations = outcome.sidecar.annotations if outcome.sidecar else {}
    return {file: annotations[key] for key, file in names.FILES.items() if key in annotations}


def _static(files: Mapping[str, str]) -> str:
    loader = yaml.CSafeLoader
    parts = [yaml.load(files.get(name, ""), Loader=loader) for name in names.FILES.values()]  # noqa: S506
    return dump(as_static(*parts))


def _stream(files: Mapping[str, str]) -> str:
    if len(files) == 1:
        return next(iter(files.values()))
    return "".join(f"---\n# {names.CONFIG_FOLDER}/{name}\n{text}" for name, text in files.items())


def _write(files: Mapping[str, str], folder: Path, report: Report) -> int:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in files.items():
            (folder / name).write_text(text, encoding="utf-8")
            report.good(str(folder / name), "written")
    except OSError as error:
        report.problems([f"{error.filename or folder}: cannot be written ({error.strerror or error})"])
        return 1
    return 0
