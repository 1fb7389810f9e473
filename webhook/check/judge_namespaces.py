"""Labelled namespaces: which are, which had better not be, and what their labels say wrong. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Final

from webhook.check.model import Finding, ok, together, warning
from webhook.core import names
from webhook.core.annotations import label_warnings
from webhook.core.catalog import Catalog
from webhook.core.model import Namespace, SidecarSettings
from webhook.core.source import namespace_source
from webhook.core.view import Ambiguous, View, make_view

LABEL_ONE: Final = f"kubectl label namespace NAME {names.INJECT}={names.ENABLED}"
_SHOWN: Final = 10


def judge_labelled(labelled: Collection[str]) -> Finding:
    """Judge whether anything is to be injected at all."""
    if not labelled:
        return warning("no namespace asks for sidecars", remedy=LABEL_ONE)
    return ok(some(labelled))


def judge_labels(namespaces: Iterable[Namespace]) -> Finding:
    """Judge every label of ours on namespaces: a value that nobody knows counts as not set."""
    troubles = [
        warning(f"namespace {one.name}: {said}", remedy=_relabel(one))
        for one in namespaces
        for said in label_warnings(one.labels, names.LABELS_ON_NAMESPACES)
    ]
    return together(troubles, ok())


def _relabel(namespace: Namespace) -> str:
    return f"kubectl label --overwrite namespace {namespace.name} {names.INJECT}={names.ENABLED}"


def judge_system(labelled: Iterable[str], settings: SidecarSettings) -> Finding:
    """Judge whether a namespace is labelled that is never injected."""
    never = {*settings.system_namespaces, settings.own_namespace}
    troubles = [
        warning(
            f"namespace {name} is labelled, and never injected: it is a system namespace",
            remedy=f"kubectl label namespace {name} {names.INJECT}-",
        )
        for name in labelled
        if name in never
    ]
    return together(troubles, ok())


def judge_upstreams(labelled: Iterable[str], catalog: Catalog, settings: SidecarSettings) -> Finding:
    """Judge whether each labelled namespace sees anything to balance over."""
    counts: dict[str, str] = {}
    troubles = []
    for name in labelled:
        upstreams = [upstream.cluster for upstream in _view(catalog, name, settings).upstreams]
        counts[name] = f"{name}: {some(upstreams)}"
        if not upstreams:
            said = f"namespace {name} sees no gRPC Service to balance over: its calls go where they went before"
            headless = "make the Service headless (clusterIP: None) and name its port grpc"
            pushed = f"or, with its port named grpc: kubectl annotate namespace {name} {names.DISCOVERY}=xds"
            troubles.append(warning(said, remedy=(headless, pushed)))
    return together(troubles, ok("; ".join(counts.values())))


def judge_ambiguous(labelled: Iterable[str], catalog: Catalog, settings: SidecarSettings) -> Finding:
    """Judge whether two Services claim one gRPC service: calls to it would be answered with their names."""
    troubles = []
    for name in labelled:
        for path, target in _view(catalog, name, settings).by_path.items():
            if isinstance(target, Ambiguous):
                said = f"namespace {name}: gRPC service {path} is claimed by {' and '.join(target.claimants)}"
                remedy = f"leave it in annotation {names.GRPC_SERVICES} of one of them"
                troubles.append(warning(said, remedy=remedy))
    return together(troubles, ok())


def _view(catalog: Catalog, name: str, settings: SidecarSettings) -> View:
    """Give what Pods of a namespace see that say nothing themselves."""
    mode, _ = namespace_source(catalog.namespace(name), settings)
    view, _ = make_view(catalog, name, None, mode)
    return view


def some(texts: Collection[str]) -> str:
    """Give a list for people, the first ten of it."""
    first = ", ".join(list(texts)[:_SHOWN]) or "none"
    more = len(texts) - _SHOWN
    return f"{first} and {more} more" if more > 0 else first


def by_name(namespaces: Mapping[str, Namespace]) -> list[Namespace]:
    """Give namespaces in the order of their names."""
    return [namespaces[name] for name in sorted(namespaces)]
