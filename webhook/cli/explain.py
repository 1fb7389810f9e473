"""`evenkeel explain`: whether a workload gets a sidecar, why, with which routes, and what its live pods carry."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import typer

from webhook.check.facts import Cluster, Facts
from webhook.check.installed import Decided, Installed, read_given
from webhook.check.model import Unknown
from webhook.check.place import Place
from webhook.cli.config import Target
from webhook.cli.explain_text import as_text
from webhook.cli.explanation import Engine, Subject, explain
from webhook.cli.report import Report, write_result
from webhook.cli.workloads import Workload, load_both, read_input, workloads
from webhook.core import names
from webhook.core.catalog import Catalog, build_catalog
from webhook.core.errors import EvenkeelError, ManifestError, NotAPod
from webhook.core.model import JsonObject, Namespace
from webhook.core.pod import read_pod
from webhook.core.workloads import pod_template
from webhook.kube.errors import ClusterError
from webhook.kube.live import Live, read_live
from webhook.manifests import STDIN, objects, read_documents


def load_engine(settings: Path | None, templates: Path | None) -> Engine:
    """Make what judges, by the operator's settings; raises SettingsError with every problem."""
    return Engine(*load_both(settings, templates))


@dataclass(frozen=True, slots=True)
class Asked:
    """What was asked for on the command line."""

    target: Target | None
    files: Sequence[str] = ()
    catalog: Sequence[str] = ()
    namespace: str | None = None
    kubeconfig: Path | None = None
    context: str | None = None
    settings: Path | None = None
    templates: Path | None = None


def run_explain(asked: Asked, report: Report, *, as_json: bool) -> int:
    """Explain one workload of a cluster, or workloads of manifests; gives 0, or 1 if one's pods would be refused.

    Raises a usage error, and what finding the workloads raises.
    """
    subjects, engine = _find(asked, report)
    return tell(subjects, engine, as_json=as_json)


def _find(asked: Asked, report: Report) -> tuple[list[Subject], Engine]:
    if asked.files:
        if asked.kubeconfig or asked.context:
            raise typer.BadParameter("manifests are explained without a cluster", param_hint="--kubeconfig, --context")
        engine = load_engine(asked.settings, asked.templates)
        return from_files(asked.files, asked.catalog, asked.namespace, asked.target, report), engine
    if asked.target is None:
        raise typer.BadParameter(
            "found nothing; expected one such as deploy/web, or --filename", param_hint="KIND/NAME"
        )
    if asked.catalog:
        raise typer.BadParameter("it goes with --filename; a cluster knows its own Services", param_hint="--catalog")
    given = read_given(asked.settings, asked.templates)
    return from_cluster(asked.target, asked.namespace, given, asked.kubeconfig, asked.context)


def tell(subjects: Sequence[Subject], engine: Engine, *, as_json: bool) -> int:
    """Print what there is to say; gives 0, or 1 if a workload's pods would be refused."""
    found = [explain(subject, engine) for subject in subjects]
    document = {"workloads": found}
    text = f"{json.dumps(document, indent=2)}\n" if as_json else "\n".join(map(as_text, found))
    written = write_result(text)
    return 0 if written and not any(each["answer"] == "refused" for each in found) else 1


def from_files(
    files: Sequence[str], catalog: Sequence[str], namespace: str | None, target: Target | None, report: Report
) -> list[Subject]:
    """Find the workloads of manifests, or those of them that are asked for.

    Raises ManifestError where there is none, or where all are asked for and one has not the shape of a Pod; beside
    the one asked for that is only told.
    """
    given = read_input(files, catalog, namespace)
    problems: list[str] = []
    every = list(workloads(given, problems))
    chosen = [one for one in every if target is None or (one.kind, one.name) == target]
    if target is not None and namespace is not None:
        chosen = [one for one in chosen if one.namespace == namespace]
    if not chosen:
        there = f"there is {', '.join(dict.fromkeys(map(str, every)))}" if every else "there is no workload at all"
        raise ManifestError([*problems, f"found no {target or 'workload'} in the manifests; {there}"])
    if target is None and problems:
        raise ManifestError(problems)
    report.problems(problems)
    again = read_documents([path for path in catalog if path != STDIN])
    written = [obj for obj, _, _ in objects([*given.documents, *again])]
    return [_of_file(one, given.catalog, written, given.namespace) for one in chosen]


def _of_file(workload: Workload, catalog: Catalog, written: Iterable[JsonObject], default: str) -> Subject:
    document: Any = workload.document.value
    for part in workload.place:
        document = document[part]
    return Subject(
        kind=workload.kind,
        name=workload.name,
        namespace=_namespace(catalog, workload.namespace),
        known=workload.namespace in catalog.namespaces,
        document=document,
        pod=workload.pod,
        catalog=catalog,
        services=_services(written, workload.namespace, default),
    )


def from_cluster(
    target: Target, namespace: str | None, given: Decided | None, kubeconfig: Path | None, context: str | None
) -> tuple[list[Subject], Engine]:
    """Find a workload of a cluster, and what its webhook decides by unless that is `given`.

    Without a namespace it is that of the kubeconfig's context. Raises a ClusterError, EvenkeelError where there is no
    such workload, SettingsError where there is no cluster.
    """
    from webhook.kube.api import Api
    from webhook.kube.config import find_access
    from webhook.kube.context import usual_namespace

    access = find_access(kubeconfig, context)

    async def read() -> tuple[list[Subject], Engine]:
        async with Api(access) as api:
            return await from_reader(api, target, namespace or usual_namespace(access), given)

    return asyncio.run(read())


async def from_reader(
    reader: Cluster, target: Target, namespace: str, given: Decided | None = None
) -> tuple[list[Subject], Engine]:
    """Do the same through an open connection."""
    live = await read_live(reader, target.kind, namespace, target.name)
    if live is None:
        raise EvenkeelError(f"found no {target} in namespace {namespace}; --namespace names another one")
    engine, notes = await _engine_of(_OwnPods(reader, live.pods), given)
    return [_of_live(live, target, namespace, notes)], engine


class _OwnPods(Facts):
    """Facts for one workload: its own pods say which domain the cluster has; all of a cluster's would be many."""

    def __init__(self, reader: Cluster, pods: Sequence[JsonObject]) -> None:
        super().__init__(reader, Place())
        self._pods = tuple(pods)

    async def injected(self) -> tuple[JsonObject, ...]:
        """Give the workload's pods."""
        return self._pods


async def _engine_of(facts: Facts, given: Decided | None) -> tuple[Engine, tuple[str, ...]]:
    installed = Installed(facts, given)
    try:
        return Engine(await installed.injector(), await installed.sidecar()), ()
    except (Unknown, ClusterError) as error:
        unknown = f"judged by the defaults, since the settings of the cluster's webhook are not known: {error}"
        return load_engine(None, None), (unknown,)


def _of_live(live: Live, target: Target, namespace: str, notes: tuple[str, ...]) -> Subject:
    try:
        template = pod_template(live.document)
        pod = read_pod(template.document, namespace) if template else None
    except NotAPod as error:
        raise EvenkeelError(f"{target} in namespace {namespace}: {error}") from error
    if pod is None:
        raise EvenkeelError(f"{target} in namespace {namespace} has no pods")
    catalog = build_catalog(live.objects, default_namespace=namespace)
    return Subject(
        kind=target.kind,
        name=target.name,
        namespace=_namespace(catalog, namespace),
        known=namespace in catalog.namespaces,
        document=live.document,
        pod=pod,
        catalog=catalog,
        services=_services(live.objects, namespace, namespace),
        pods=live.pods,
        notes=(*live.notes, *notes),
    )


def _namespace(catalog: Catalog, name: str) -> Namespace:
    """Give a Namespace; one that nobody described counts as labelled, or there would be nothing to explain."""
    return catalog.namespaces.get(name) or Namespace(name, {names.INJECT: names.ENABLED})


def _services(written: Iterable[JsonObject], namespace: str, default: str) -> list[JsonObject]:
    return [
        each
        for each in written
        if (each.get("apiVersion"), each.get("kind")) == ("v1", "Service")
        and isinstance(each.get("metadata"), dict)
        and (each["metadata"].get("namespace") or default) == namespace
    ]
