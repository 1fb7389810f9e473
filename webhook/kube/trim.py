"""What is held of the objects that make a catalog: only what the rules read, as a few hundred bytes of JSON.

A text compares at once, and the garbage collector never looks inside: ten thousand Services as dictionaries would be
a quarter of a million objects for it to walk.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from webhook.core import names
from webhook.core.annotations import ours
from webhook.core.authorities import bundles


def trim_service(found: Mapping[str, Any]) -> bytes:
    """Keep of a Service what makes upstreams of it."""
    spec = found.get("spec") or {}
    kept: dict[str, Any] = {
        "type": spec.get("type") if spec.get("type") == "ExternalName" else None,
        "clusterIP": spec.get("clusterIP") if spec.get("clusterIP") == "None" else None,
        "selector": spec.get("selector"),
        "sessionAffinity": _unless(spec.get("sessionAffinity"), "None"),
        "internalTrafficPolicy": _unless(spec.get("internalTrafficPolicy"), "Cluster"),
        "trafficDistribution": spec.get("trafficDistribution"),
        "ports": [
            _only(port, "name", "port", "protocol", "targetPort", "appProtocol") for port in spec.get("ports") or ()
        ],
    }
    annotations = _metadata(found).get("annotations") or {}
    metadata = {
        **_only(_metadata(found), "name", "namespace"),
        "annotations": {key: annotations[key] for key in ours(annotations)},
    }
    return _text("v1", "Service", metadata, spec={key: value for key, value in kept.items() if value})


def trim_namespace(found: Mapping[str, Any]) -> bytes:
    """Keep of a Namespace its labels and what annotations say about it."""
    annotations = _metadata(found).get("annotations") or {}
    metadata = {
        **_only(_metadata(found), "name", "labels"),
        "annotations": {
            key: annotations[key] for key in (names.OPENSHIFT_UID_RANGE, *ours(annotations)) if key in annotations
        },
    }
    return _text("v1", "Namespace", metadata)


def trim_configuration(found: Mapping[str, Any]) -> bytes:
    """Keep of a webhook configuration the CAs that API servers verify us by."""
    return _text("admissionregistration.k8s.io/v1", "", _only(_metadata(found), "name"), bundles=bundles(found))


def trim_slice(found: Mapping[str, Any]) -> bytes:
    """Keep of an EndpointSlice whose ports it has; the addresses, which change all the time, say nothing here."""
    metadata = {
        **_only(_metadata(found), "name", "namespace"),
        "labels": _only(_metadata(found).get("labels") or {}, names.SLICE_SERVICE),
    }
    ports = [_only(port, "name", "port", "protocol") for port in found.get("ports") or ()]
    return _text("discovery.k8s.io/v1", "EndpointSlice", metadata, ports=ports)


def _text(api_version: str, kind: str, metadata: Mapping[str, Any], **rest: Any) -> bytes:
    kept = {key: value for key, value in metadata.items() if value}
    document = {"apiVersion": api_version, "kind": kind, "metadata": kept, **rest}
    return orjson.dumps(document, option=orjson.OPT_SORT_KEYS)


def _metadata(found: Mapping[str, Any]) -> Mapping[str, Any]:
    return found.get("metadata") or {}


def _unless(value: Any, usual: str) -> Any:
    return None if value == usual else value


def _only(holder: Mapping[str, Any], *keys: str) -> dict[str, Any]:
    return {key: holder[key] for key in keys if holder.get(key) is not None}
