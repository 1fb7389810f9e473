"""What whoever applies a workload or a Service should hear at once: what is wrong, ignored or ambiguous.

Only that: nothing is said of what is fine or meant so. Each warning is a sentence that says what, where, what was
found and what would do.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from webhook.core import names
from webhook.core.annotations import label_warnings, ours, read_pod_annotations, unknown_annotation
from webhook.core.catalog import Catalog
from webhook.core.errors import PodRejected
from webhook.core.inject import Injector
from webhook.core.lint_service import lint_service
from webhook.core.model import JsonObject, Namespace
from webhook.core.outcome import Outcome, SkipReason
from webhook.core.pod import Pod, read_pod
from webhook.core.workloads import DEFAULT_NAMESPACE, Template, pod_template

_MEANT: Final = f"if that is meant, label the pods {names.INJECT}={names.DISABLED}"
_REMEDIES: Final = {
    SkipReason.HOST_NETWORK: _MEANT,
    SkipReason.WINDOWS: _MEANT,
    SkipReason.OTHER_MESH: f"two proxies do not share a pod: choose one; {_MEANT}",
    SkipReason.PORT_CONFLICT: "let it listen elsewhere, or move the sidecar's port in the settings",
    SkipReason.ANNOTATIONS_FULL: "shorten them",
}
"""What would do for a skip that leaves pods without what was asked for."""
_MOST_LEFT: Final = 5
_KINDS_OF_KEYS: Final = (("label", "labels"), ("annotation", "annotations"))


def lint(document: JsonObject, catalog: Catalog, injector: Injector, namespace: Namespace | None) -> tuple[str, ...]:
    """Give the warnings for an object, in a fixed order, each once; none for kinds that do not concern us.

    A Service is judged as if it were in the catalog already. `namespace` is None where the API server has already
    selected the object by its Namespace's label. Raises NotAPod where a workload's template is not shaped like a Pod.
    """
    metadata = document.get("metadata")
    said = metadata.get("namespace") if isinstance(metadata, dict) else None
    place = str(said or (namespace.name if namespace else DEFAULT_NAMESPACE))
    if (document.get("apiVersion"), document.get("kind")) == ("v1", "Service"):
        return tuple(dict.fromkeys(lint_service(document, catalog, place, injector.settings)))
    template = pod_template(document)
    if template is None:
        return ()
    pod = read_pod(template.document, place)
    found = (*_misplaced(document, template, pod), *_of_pods(template, pod, catalog, injector, namespace))
    return tuple(dict.fromkeys(found))


def outcome_warnings(outcome: Outcome) -> Iterator[str]:
    """Give an outcome's warnings as whoever wrote the pod template should hear them."""
    skip = outcome.skip
    said = f"no sidecar ({skip.reason}): {skip.detail}" if skip else None
    for warning in outcome.warnings:
        if skip is not None and warning == said:
            yield f"its pods get {warning}; {_REMEDIES.get(skip.reason, _MEANT)}"
        else:
            yield warning


def _of_pods(
    template: Template, pod: Pod, catalog: Catalog, injector: Injector, namespace: Namespace | None
) -> Iterator[str]:
    try:
        outcome = injector.admit(pod, catalog, namespace)
    except PodRejected as rejection:
        subject = "pods of this" if template.path else "it"
        yield from (f"{subject} would be refused: {problem}" for problem in rejection.problems)
        yield from read_pod_annotations(pod.labels, pod.annotations).warnings
    else:
        yield from outcome_warnings(outcome)
        yield from _not_captured(outcome)


def _not_captured(outcome: Outcome) -> Iterator[str]:
    """Tell which names somebody wanted captured and are not: the app's calls to them go where they went before."""
    left = outcome.sidecar.captures.left if outcome.sidecar else ()
    if left:
        some = "; ".join(f"{ref}: {why}" for ref, why in left[:_MOST_LEFT])
        more = f"; and {len(left) - _MOST_LEFT} more" if len(left) > _MOST_LEFT else ""
        yield f"calls to these names of Services are not captured: {some}{more}"


def _misplaced(document: JsonObject, template: Template, pod: Pod) -> Iterator[str]:
    """Warn about keys of ours above the pod template, where nobody reads them.

    What the template carries as well is no mistake: tools put common labels and annotations everywhere.
    """
    right = ".".join((*template.path, "metadata"))
    below = {*pod.labels, *pod.annotations}
    for place, holder in _above(document, template):
        for kind, part in _KINDS_OF_KEYS:
            texts = _texts(holder, part)
            for key in sorted(ours(texts)):
                if key not in below and key not in (*names.WRITTEN, names.INJECTED):
                    yield _misplaced_key(kind, key, texts[key], place, right)


def _above(document: JsonObject, template: Template) -> Iterator[tuple[str, Any]]:
    """Give every metadata on the way to the template: a CronJob's has two."""
    node: Any = document
    for depth, key in enumerate(template.path):
        if depth != 1 and isinstance(node, dict):
            where = f"{'.'.join(template.path[:depth])}.metadata" if depth else f"the {template.kind} itself"
            yield where, node.get("metadata")
        node = node.get(key) if isinstance(node, dict) else None


def _misplaced_key(kind: str, key: str, text: str, place: str, right: str) -> str:
    ignored = f"{kind} {key} on {place} is ignored"
    if key in names.LABELS_ON_PODS:
        return f"{ignored}: it belongs into {right}.labels" + (", as a label" if kind != "label" else "")
    if key in names.ANNOTATIONS_ON_PODS:
        return f"{ignored}: it belongs into {right}.annotations" + (", as an annotation" if kind == "label" else "")
    if key in names.ANNOTATIONS_ON_SERVICES:
        return f"{ignored}: it is an annotation of Services"
    if key in names.LABELS_ON_NAMESPACES:
        return f"{ignored}: it is a label of Namespaces"
    known = names.ANNOTATIONS_ON_PODS
    unknown = (
        label_warnings({key: text}, names.LABELS_ON_PODS, known_annotations=known)
        if kind == "label"
        else unknown_annotation(key, known)
    )
    return f"{unknown[0]}; found on {place}, keys of pods belong into {right}"


def _texts(holder: Any, part: str) -> Mapping[str, str]:
    values = holder.get(part) if isinstance(holder, dict) else None
    return {key: text for key, text in values.items() if isinstance(text, str)} if isinstance(values, dict) else {}
