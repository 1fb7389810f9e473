"""What the commands share: the input, the catalog made of it, and what becomes of each workload."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from webhook.core import names
from webhook.core.catalog import Catalog, build_catalog
from webhook.core.errors import ManifestError, NotAPod, PodRejected
from webhook.core.inject import Injector
from webhook.core.model import JsonObject, Namespace, SidecarSettings
from webhook.core.outcome import Outcome
from webhook.core.pod import Pod, read_pod
from webhook.core.workloads import DEFAULT_NAMESPACE, pod_template
from webhook.manifests import STDIN, Document, objects, read_documents


@dataclass(frozen=True, slots=True)
class Input:
    """The manifests given, and everything known of Services and Namespaces."""

    documents: Sequence[Document]
    catalog: Catalog
    namespace: str
    """Of objects that name none."""


@dataclass(frozen=True, slots=True)
class Workload:
    """An object with a pod template, and where the template stands in its document."""

    kind: str
    name: str
    namespace: str
    document: Document
    place: tuple[str | int, ...]
    """Path of the object in its document."""
    template: tuple[str | int, ...]
    """Path of the pod template in its document."""
    pod: Pod

    def __str__(self) -> str:
        """Give its name for people: `Deployment shop/web`."""
        return f"{self.kind} {self.namespace}/{self.name}"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of a workload: an outcome, or the problems for which it is rejected."""

    workload: Workload
    outcome: Outcome | None
    problems: tuple[str, ...] = ()

    @property
    def warnings(self) -> tuple[str, ...]:
        """Give the outcome's warnings, but for the one that only says why it was skipped."""
        if self.outcome is None:
            return ()
        skip = self.outcome.skip
        said = f"no sidecar ({skip.reason}): {skip.detail}" if skip else None
        return tuple(warning for warning in self.outcome.warnings if warning != said)


def load_injector(settings: Path | None, templates: Path | None) -> Injector:
    """Make the injector that the operator's settings ask for; raises SettingsError with every problem."""
    return load_both(settings, templates)[0]


def load_both(settings: Path | None, templates: Path | None) -> tuple[Injector, SidecarSettings]:
    """Make the same injector, and give the settings of the sidecars that it puts in."""
    from webhook.settings import load_settings
    from webhook.templates import dump, load_templates

    loaded = load_settings(settings, os.environ, {"templates": templates})
    return Injector(loaded.sidecar, load_templates(loaded.templates), dump), loaded.sidecar


def read_input(files: Sequence[str], catalog: Sequence[str], namespace: str | None) -> Input:
    """Read the manifests and the catalog; raises ManifestError with the problems of both."""
    if [*files, *catalog].count(STDIN) > 1:
        raise ManifestError([f"found {STDIN} more than once; expected standard input to be read once"])
    problems: list[str] = []
    documents = _read(files, problems)
    known = {os.path.realpath(document.source) for document in documents}
    more = [one for one in _read(catalog, problems) if os.path.realpath(one.source) not in known]
    if problems:
        raise ManifestError(problems)
    default = namespace or DEFAULT_NAMESPACE
    everything = (obj for obj, _, _ in objects([*documents, *more]))
    return Input(documents, build_catalog(everything, default_namespace=default), default)


def _read(paths: Sequence[str], problems: list[str]) -> list[Document]:
    try:
        return read_documents(paths)
    except ManifestError as error:
        problems += error.problems
        return []


def workloads(given: Input, problems: list[str]) -> Iterator[Workload]:
    """Find every workload, in order; what is no workload for lack of a Pod's shape is told as a problem."""
    for obj, document, place in objects(given.documents):
        try:
            workload = _workload(obj, document, place, given.namespace)
        except NotAPod as error:
            problems.append(f"{document.where(place)}: {_name(obj, given.namespace)}: {error}")
            continue
        if workload is not None:
            yield workload


def _workload(obj: JsonObject, document: Document, place: tuple[str | int, ...], default: str) -> Workload | None:
    template = pod_template(obj)
    if template is None:
        return None
    namespace = template.namespace or default
    pod = read_pod(template.document, namespace)
    path = (*place, *template.path)
    return Workload(template.kind, template.name, namespace, document, place, path, pod)


def _name(obj: JsonObject, default: str) -> str:
    metadata = obj.get("metadata")
    known = metadata if isinstance(metadata, dict) else {}
    return f"{obj.get('kind')} {known.get('namespace') or default}/{known.get('name') or '?'}"


def judge(workload: Workload, given: Input, injector: Injector, *, labelled: bool) -> Verdict:
    """Say what becomes of a workload; `labelled` as if its Namespace said `enabled`."""
    namespace = given.catalog.namespace(workload.namespace)
    if labelled:
        labels = {**namespace.labels, names.INJECT: names.ENABLED}
        namespace = Namespace(namespace.name, labels, namespace.annotations)
    try:
        return Verdict(workload, injector.admit(workload.pod, given.catalog, namespace, draw=str(workload)))
    except PodRejected as error:
        where = workload.document.where(workload.place)
        return Verdict(workload, None, tuple(f"{where}: {workload}: {problem}" for problem in error.problems))
