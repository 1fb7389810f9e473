"""AdmissionReview v1, both ways: bytes in, a Pod for the core; an outcome of the core, bytes out.

Kubernetes may add fields; what is not read here is let pass.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import orjson

from webhook.core.errors import MalformedReview, NotAPod
from webhook.core.model import JsonObject
from webhook.core.outcome import Outcome, Skip
from webhook.core.pod import Pod, read_pod
from webhook.server.patch_text import encode_patch

API_VERSION: Final = "admission.k8s.io/v1"
_KIND: Final = "AdmissionReview"
_SHOWN: Final = 80
_LONGEST_WARNING: Final = 256
"""The API server cuts single warnings there and drops those above 4 KiB together."""
_WARNINGS_BYTES: Final = 4096
_MESSAGE_BYTES: Final = 4096


@dataclass(frozen=True, slots=True)
class AdmissionRequest:
    """The half of a review that is sent to us, its envelope checked."""

    uid: str
    namespace: str
    operation: str
    sub_resource: str
    dry_run: bool
    fields: dict[str, Any]

    @property
    def creates(self) -> bool:
        """Say whether a whole Pod is being created: only then can it still be given a container."""
        return self.operation == "CREATE" and not self.sub_resource


def read_request(body: bytes) -> AdmissionRequest:
    """Read the envelope of a review.

    Raises MalformedReview: what, where, what was found, what is expected.
    """
    try:
        review = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise MalformedReview(f"body: found no JSON ({error}), expected an {_KIND} of {API_VERSION}") from error
    _envelope(review)
    request = review.get("request")
    if not isinstance(request, dict):
        raise MalformedReview(f"request: found {_shown(request)}, expected an object")
    uid = request.get("uid")
    if not isinstance(uid, str) or not uid:
        raise MalformedReview(f"request.uid: found {_shown(uid)}, expected a text")
    return AdmissionRequest(
        uid=uid,
        namespace=_text(request, "namespace"),
        operation=_operation(request),
        sub_resource=_text(request, "subResource"),
        dry_run=request.get("dryRun") is True,
        fields=request,
    )


def read_subject(request: AdmissionRequest) -> Pod:
    """Give the Pod that a request is about.

    Raises MalformedReview if it is about something else, NotAPod if the object is not shaped like a Pod.
    """
    kind = request.fields.get("kind")
    if not isinstance(kind, dict) or (kind.get("group") or "", kind.get("version"), kind.get("kind")) != _POD:
        raise MalformedReview(f"request.kind: found {_kind(kind)}, expected v1 Pod")
    if not request.namespace:
        raise MalformedReview("request.namespace: found nothing, expected the Pod's namespace")
    try:
        return read_pod(request.fields.get("object"), request.namespace)
    except NotAPod as error:
        raise NotAPod(f"request.object: {error}") from error


def read_object(request: AdmissionRequest) -> JsonObject:
    """Give the workload or Service that a request is about, with its kind and its namespace.

    Raises MalformedReview if it is about something else or is no object.
    """
    kind = request.fields.get("kind")
    found = (kind.get("group") or "", kind.get("version"), kind.get("kind")) if isinstance(kind, dict) else None
    if found is None or found not in _LINTED:
        accepted = ", ".join(name for _, _, name in _LINTED)
        raise MalformedReview(f"request.kind: found {_kind(kind)}, expected one of {accepted}")
    if not request.namespace:
        raise MalformedReview("request.namespace: found nothing, expected the object's namespace")
    document = request.fields.get("object")
    if request.operation == "DELETE":
        document = request.fields.get("oldObject")
    if not isinstance(document, dict):
        raise MalformedReview(f"request.object: found {_shown(document)}, expected an object")
    metadata = document.get("metadata")
    if not isinstance(metadata, dict):
        raise MalformedReview(f"request.object.metadata: found {_shown(metadata)}, expected an object")
    group, version, name = found
    named = {"apiVersion": f"{group}/{version}" if group else version, "kind": name}
    return {**document, **named, "metadata": {**metadata, "namespace": request.namespace}}


def object_name(document: JsonObject) -> str:
    """Give an object's name for people; before it has one, the prefix it will begin with."""
    metadata = document["metadata"]
    return str(metadata.get("name") or f"{metadata.get('generateName') or ''}*")


def _operation(request: dict[str, Any]) -> str:
    operation = _text(request, "operation")
    if not operation:
        raise MalformedReview("request.operation: found nothing, expected CREATE")
    return operation


def _envelope(review: Any) -> None:
    if not isinstance(review, dict):
        raise MalformedReview(f"body: found {_shown(review)}, expected an {_KIND} of {API_VERSION}")
    if review.get("kind") != _KIND:
        raise MalformedReview(f"kind: found {_shown(review.get('kind'))}, expected {_KIND}")
    if review.get("apiVersion") != API_VERSION:
        found = _shown(review.get("apiVersion"))
        raise MalformedReview(f"apiVersion: found {found}, expected {API_VERSION}: the webhook speaks v1 only")


def _text(request: dict[str, Any], key: str) -> str:
    value = request.get(key)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise MalformedReview(f"request.{key}: found {_shown(value)}, expected a text")
    return value


_POD: Final = ("", "v1", "Pod")
_LINTED: Final = (
    ("apps", "v1", "Deployment"),
    ("apps", "v1", "StatefulSet"),
    ("apps", "v1", "DaemonSet"),
    ("batch", "v1", "Job"),
    ("batch", "v1", "CronJob"),
    ("", "v1", "Service"),
)


def _kind(kind: Any) -> str:
    if not isinstance(kind, dict):
        return _shown(kind)
    parts = (kind.get("group") or "", kind.get("version"), kind.get("kind"))
    return _shown(" ".join(str(part) for part in parts if part))


def _shown(value: Any) -> str:
    if value is None:
        return "nothing"
    if isinstance(value, dict | list):
        return "an object" if isinstance(value, dict) else "a list"
    return repr(value[:_SHOWN] if isinstance(value, str) else value)


def allowed(uid: str, outcome: Outcome) -> bytes:
    """Give the answer for an outcome of the core: a patch, or none and the reason."""
    audit = {"result": "injected" if outcome.injected else "skipped", "reason": reason_of(outcome.skip)}
    response: dict[str, Any] = {"uid": uid, "allowed": True, "auditAnnotations": audit}
    if outcome.injected:
        response["patchType"] = "JSONPatch"
        response["patch"] = orjson.Fragment(b'"%b"' % encode_patch(outcome.operations))
        audit["upstreams"] = str(len(outcome.sidecar.upstreams) if outcome.sidecar else 0)
    if warnings := bounded_warnings(outcome.warnings):
        response["warnings"] = warnings
    return _review(response)


def reason_of(skip: Skip | None) -> str:
    """Give the code that audit, log and metric share."""
    return skip.reason.value if skip else "selected"


def rejected(uid: str, problems: Sequence[str]) -> bytes:
    """Give the answer that refuses a Pod, with every problem as far as it fits."""
    message = _one_line("; ".join(problems))
    encoded = message.encode()
    if len(encoded) > _MESSAGE_BYTES:
        message = encoded[: _MESSAGE_BYTES - 40].decode(errors="ignore") + f"... ({len(problems)} problems in all)"
    status = {"status": "Failure", "code": 422, "reason": "Invalid", "message": message}
    audit = {"result": "rejected", "reason": "bad-value", "problems": str(len(problems))}
    return _review({"uid": uid, "allowed": False, "status": status, "auditAnnotations": audit})


def told(uid: str, warnings: Sequence[str]) -> bytes:
    """Give the answer that allows an object, and says what there is to say of it."""
    audit = {"result": "warned" if warnings else "quiet", "warnings": str(len(warnings))}
    response: dict[str, Any] = {"uid": uid, "allowed": True, "auditAnnotations": audit}
    if warnings:
        response["warnings"] = bounded_warnings(warnings)
    return _review(response)


def bounded_warnings(warnings: Iterable[str]) -> list[str]:
    """Make warnings that the API server passes on whole: one line each, short, not too many; the rest is counted."""
    lines = [_cut(f"evenkeel: {_one_line(warning)}") for warning in warnings]
    left = _WARNINGS_BYTES - _LONGEST_WARNING
    for index, line in enumerate(lines):
        left -= len(line.encode())
        if left < 0:
            return [*lines[:index], f"evenkeel: and {len(lines) - index} more warnings"]
    return lines


def _cut(line: str) -> str:
    return line if len(line) <= _LONGEST_WARNING else f"{line[: _LONGEST_WARNING - 3]}..."


_CONTROL: Final = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]+")


def _one_line(text: str) -> str:
    """Take out what HTTP headers and terminals must not get; a stranger's text may hold anything."""
    return _CONTROL.sub(" ", text)


def _review(response: dict[str, Any]) -> bytes:
    return orjson.dumps({"apiVersion": API_VERSION, "kind": _KIND, "response": response})


def failure(message: str) -> bytes:
    """Give the body of an HTTP error: one sentence."""
    return orjson.dumps({"error": _one_line(message)[:1000]})
