"""The golden cases of injection: folders with a Pod, what surrounds it, and what must come of both."""

from __future__ import annotations

import copy
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import jsonpatch

from tests import golden
from tests.builders import injector
from tests.core import summary
from webhook.core.catalog import Catalog, build_catalog
from webhook.core.errors import PodRejected
from webhook.core.inject import Injector
from webhook.core.model import DiscoveryMode, Namespace, Ports, Resources, SidecarSettings
from webhook.core.outcome import Outcome
from webhook.core.pod import Pod, read_pod
from webhook.core.workloads import Template, pod_template

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "tests" / "golden" / "inject"
INPUTS = ("pod.yaml", "example.yaml", "catalog.yaml", "settings.yaml", "namespace.yaml", "trust.pem")
VERBATIM = "everything-rendered-in-full"


@dataclass(frozen=True)
class Case:
    """One folder."""

    name: str
    folder: Path

    @property
    def template(self) -> Template:
        """Give the Pod, or the pod template of a workload."""
        return _template(self)

    @property
    def pod(self) -> Pod:
        """Give the Pod as the rules look at it."""
        return read_pod(self.template.document, self.namespace_name)

    @property
    def namespace_name(self) -> str:
        """Give the namespace that the Pod is created in."""
        return self.template.namespace or "default"

    @property
    def namespace(self) -> Namespace | None:
        """Give the Namespace that decides, or None where the API server has selected."""
        path = self.folder / "namespace.yaml"
        if not path.exists():
            return None
        return build_catalog([golden.read(path)]).namespace(self.namespace_name)

    @property
    def objects(self) -> list[Any]:
        """Give the objects around the Pod."""
        return copy.deepcopy(_objects(self))

    @property
    def catalog(self) -> Catalog:
        """Give the objects around the Pod as the rules look at them."""
        return self.with_trust(build_catalog(self.objects, default_namespace=self.namespace_name))

    def with_trust(self, catalog: Catalog) -> Catalog:
        """Give a catalog in which the CAs of the case are known: those of trust.pem, if it has one."""
        path = self.folder / "trust.pem"
        return replace(catalog, trust=path.read_text()) if path.exists() else catalog

    @property
    def settings(self) -> SidecarSettings:
        """Give what the operator decided."""
        path = self.folder / "settings.yaml"
        fields = golden.read(path) if path.exists() else {}
        if "ports" in fields:
            fields["ports"] = Ports(**fields["ports"])
        if "resources" in fields:
            fields["resources"] = Resources(**fields["resources"])
        if "discovery" in fields:
            fields["discovery"] = DiscoveryMode(fields["discovery"])
        if "system_namespaces" in fields:
            fields["system_namespaces"] = frozenset(fields["system_namespaces"])
        return SidecarSettings(**fields)


@dataclass(frozen=True)
class Result:
    """What came of a case."""

    case: Case
    original: Any
    catalog: Catalog
    outcome: Outcome | None
    problems: tuple[str, ...] = ()

    @property
    def patched(self) -> Any:
        """Give the Pod after the operations, applied by a library that is not ours."""
        return _patched(self.case)


@cache
def cases() -> tuple[Case, ...]:
    """Find every case; the folder's name is the promise."""
    return tuple(Case(path.name, path) for path in sorted(FOLDER.iterdir()) if path.is_dir())


@cache
def injector_of(case: Case) -> Injector:
    """Make what admits the Pod of a case; once, since what it has rendered is rendered no second time."""
    return injector(case.settings)


@cache
def run(case: Case) -> Result:
    """Admit the Pod of a case."""
    catalog = case.catalog
    pod = case.pod
    try:
        outcome = injector_of(case).admit(pod, catalog, case.namespace)
    except PodRejected as rejection:
        return Result(case, pod.document, catalog, None, rejection.problems)
    return Result(case, pod.document, catalog, outcome)


def injected() -> tuple[Case, ...]:
    """Find every case whose Pod gets a sidecar, by its files: that they are right is test_golden.py's to say."""
    return tuple(case for case in cases() if (case.folder / "expected.config.yaml").exists())


def expected_files(result: Result) -> dict[str, Any]:
    """Give what the folder must hold beside its input."""
    if result.outcome is None:
        return {"rejection": {"problems": list(result.problems)}}
    files: dict[str, Any] = {}
    if result.outcome.skip is not None:
        files["skip"] = {"reason": str(result.outcome.skip.reason), "detail": result.outcome.skip.detail}
    else:
        files["pod"] = golden.shortened(summary.pod(result.patched))
        files["config"] = summary.configuration(result.patched)
        if result.case.name == VERBATIM:
            files["pod"] = result.patched
    if result.outcome.sidecar is not None and result.outcome.sidecar.captures.left:
        files["left"] = [f"{ref}: {why}" for ref, why in result.outcome.sidecar.captures.left]
    if result.outcome.warnings:
        files["warnings"] = list(result.outcome.warnings)
    if result.catalog.problems:
        files["problems"] = [str(problem) for problem in result.catalog.problems]
    return files


@cache
def _objects(case: Case) -> list[Any]:
    path = case.folder / "catalog.yaml"
    own = golden.read_all(path) if path.exists() else []
    return own + _of_example(case)


@cache
def _template(case: Case) -> Template:
    path = case.folder / "pod.yaml"
    if path.exists():
        found = pod_template(golden.read(path))
    else:
        wanted = golden.read(case.folder / "example.yaml")["workload"]
        found = next(
            template
            for template in filter(None, map(pod_template, _of_example(case)))
            if f"{template.kind}/{template.name}" == wanted
        )
    assert found is not None, f"{case.name}: no workload"
    namespace = found.namespace or _example(case)
    return Template(found.kind, found.name, namespace, found.path, found.document)


def _example(case: Case) -> str | None:
    path = case.folder / "example.yaml"
    return golden.read(path)["example"] if path.exists() else None


def _of_example(case: Case) -> list[Any]:
    """Give the manifests of an example themselves, so that the case cannot drift from them."""
    example = _example(case)
    if example is None:
        return []
    files = sorted((ROOT / "examples" / example).glob("*.yaml"))
    return [each for file in files if file.stem != "kustomization" for each in golden.read_all(file)]


@cache
def _patched(case: Case) -> Any:
    result = run(case)
    assert result.outcome is not None
    return jsonpatch.apply_patch(copy.deepcopy(result.original), [dict(each) for each in result.outcome.operations])
