"""The objects by which the API server knows us, beside those that ship. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from webhook.check.compare import Difference, differences
from webhook.check.model import Finding, failed, ok, together, warning
from webhook.core.model import JsonObject

_GRAVE: Final = ("failurePolicy", "sideEffects", "rules", "clientConfig", "admissionReviewVersions")
"""Fields without which Pods are refused, or not injected; any other may be an operator's wish."""
_AGAIN: Final = "apply deploy/ (again), or the chart with its default values, if nobody meant that"


def judge_configuration(shipped: JsonObject, found: JsonObject | None) -> Finding:
    """Judge a webhook configuration entry by entry."""
    name = f"{shipped['kind']} {shipped['metadata']['name']}"
    if found is None:
        return failed(f"{name} does not exist: the API server calls nobody", remedy="apply deploy/ (again)")
    troubles = [
        _difference(name, one) for one in differences(shipped["webhooks"], found.get("webhooks") or [], "webhooks")
    ]
    entries = ", ".join(one["name"] for one in shipped["webhooks"])
    return together(troubles, ok(entries))


def _difference(name: str, one: Difference) -> Finding:
    inside = one.field.partition("].")[2]
    grave = not inside or inside.startswith(_GRAVE)
    judge = failed if grave else warning
    return judge(f"{name}: {one}", remedy=_AGAIN)


def judge_policies(pairs: Iterable[tuple[JsonObject, JsonObject | None]]) -> Finding:
    """Judge the admission policies and their bindings, each as it ships and as it was found."""
    troubles: list[Finding] = []
    names = []
    for shipped, found in pairs:
        name = f"{shipped['kind']} {shipped['metadata']['name']}"
        if found is None:
            troubles.append(failed(f"{name} does not exist", remedy="apply deploy/ (again)"))
            continue
        names.append(shipped["metadata"]["name"])
        told = differences(shipped["spec"], found.get("spec") or {}, "spec")
        troubles += [warning(f"{name}: {one}", remedy=_AGAIN) for one in told]
        troubles += _untyped(name, found)
    return together(troubles, ok(", ".join(sorted(set(names)))))


def _untyped(name: str, found: JsonObject) -> list[Finding]:
    """Tell expressions that the API server itself found fault with."""
    checking = (found.get("status") or {}).get("typeChecking") or {}
    told = checking.get("expressionWarnings") or ()
    return [warning(f"{name}: {one.get('fieldRef')}: {one.get('warning')}") for one in told]
