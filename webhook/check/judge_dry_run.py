"""A Pod that is created without being created, and what it means when it comes back bare. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from cryptography.x509 import Certificate

from webhook.check.chain import untrusted
from webhook.check.judge_certificates import authorities
from webhook.check.model import Finding, failed, ok, together, warning
from webhook.check.place import BARE_PODS_POLICY, CONFIGURATION, PORT, WEBHOOK, Place
from webhook.check.selectors import matches
from webhook.core import names
from webhook.core.decide import is_our_container
from webhook.core.model import JsonObject


@dataclass(frozen=True, slots=True)
class Tried:
    """What became of the Pod in one namespace."""

    namespace: str
    labels: Mapping[str, str]
    """Of the namespace."""
    asked: JsonObject
    pod: JsonObject | None = None
    warnings: Sequence[str] = ()
    refused: str = ""
    """In the words of whoever refused it."""


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of the way from the API server to the webhook."""

    place: Place
    configuration: JsonObject | None
    chain: Sequence[Certificate] | None
    """None: not known, as where Secrets may not be read."""
    endpoints: int | None
    now: datetime
    unread: str = ""
    """Why the configuration could not be looked at."""


def dry_run_pod(*, opts_in: bool) -> JsonObject:
    """Make the smallest Pod that Pod Security `restricted` and a quota let pass."""
    resources = {"cpu": "10m", "memory": "16Mi"}
    container: dict[str, Any] = {
        "name": "app",
        "image": "registry.k8s.io/pause:3.10",
        "resources": {"requests": resources, "limits": resources},
        "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
    }
    context = {"runAsNonRoot": True, "runAsUser": 65532, "seccompProfile": {"type": "RuntimeDefault"}}
    labels = {names.INJECT: names.ENABLED} if opts_in else {}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"generateName": "evenkeel-check-", "labels": labels},
        "spec": {"automountServiceAccountToken": False, "securityContext": context, "containers": [container]},
    }


def judge_tries(tries: Sequence[Tried], known: Known) -> Finding:
    """Judge whether Pods created now get a sidecar."""
    where = ", ".join(one.namespace for one in tries)
    return together([_judge(one, known) for one in tries], ok(f"in {where}"))


def _judge(one: Tried, known: Known) -> Finding:
    if one.refused and BARE_PODS_POLICY not in one.refused:
        return warning(
            f"namespace {one.namespace}: the Pod was refused before anybody could see whether it is injected: "
            f"{one.refused}",
            remedy="see what refuses it; other namespaces' Pods may tell",
        )
    if one.pod is not None and _injected(one.pod):
        return together([warning(f"namespace {one.namespace}: {text}") for text in one.warnings], ok())
    cause, remedy = diagnose(one, known)
    # What our own policy warns of, this line says already.
    said = [text for text in one.warnings if BARE_PODS_POLICY not in text]
    said += [one.refused] if one.refused else []
    return failed(f"namespace {one.namespace}: the Pod came back without a sidecar: {cause}", *said, remedy=remedy)


def _injected(pod: JsonObject) -> bool:
    containers = (pod.get("spec") or {}).get("initContainers") or ()
    annotations = (pod.get("metadata") or {}).get("annotations") or {}
    return any(map(is_our_container, containers)) and all(annotations.get(key) for key in names.CONFIGURATION)


def diagnose(one: Tried, known: Known) -> tuple[str, str]:
    """Say why a Pod came back bare, and what to do: the first thing on its way that is known to be broken."""
    if known.unread:
        return f"why cannot be told ({known.unread})", "run the check with an account that may read it"
    if known.configuration is None:
        return f"there is no MutatingWebhookConfiguration {CONFIGURATION}", "apply deploy/ (again)"
    entry = _selecting(known.configuration, one)
    if entry is None:
        return (
            "no entry of the webhook configuration selects it, by the labels of its namespace and its own",
            f"compare the selectors of MutatingWebhookConfiguration {CONFIGURATION} with deploy/base",
        )
    return _of_certificate(entry, known) or _of_the_way(known)


def _selecting(configuration: JsonObject, one: Tried) -> JsonObject | None:
    own = (one.asked.get("metadata") or {}).get("labels") or {}
    for webhook in configuration.get("webhooks") or ():
        if matches(webhook.get("namespaceSelector"), one.labels) and matches(webhook.get("objectSelector"), own):
            found: JsonObject = webhook
            return found
    return None


def _of_certificate(entry: JsonObject, known: Known) -> tuple[str, str] | None:
    remedy = "see 'caBundle vouches for the certificate' above"
    try:
        trusted = authorities(entry)
    except ValueError as error:
        return f"webhook {entry.get('name')}: {error}", remedy
    why = untrusted(known.chain, trusted, known.place.dns_name, known.now) if known.chain else ""
    return (f"the API server refuses the webhook's certificate: {why}", remedy) if why else None


_FIREWALL: Final = (
    "allow TCP {port} from the API server to the nodes (firewall of a private cluster, security group, NetworkPolicy); "
    "then kubectl logs -n {namespace} deployment/{webhook}"
)


def _of_the_way(known: Known) -> tuple[str, str]:
    namespace = known.place.namespace
    if known.endpoints == 0:
        return f"Service {namespace}/{WEBHOOK} has no ready endpoint", f"kubectl get pods -n {namespace}"
    unknown = "" if known.chain else " (its certificate could not be looked at)"
    cause = (
        f"all that can be seen is right{unknown}, so the API server gets no answer in time: the webhook is down, or "
        f"something between the API server and port {PORT} of its pods, such as a firewall, lets nothing pass"
    )
    return cause, _FIREWALL.format(port=PORT, namespace=namespace, webhook=WEBHOOK)
