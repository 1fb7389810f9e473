"""Our own pods: are there enough, are they ready, do they fit this program. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Final

from webhook import __version__
from webhook.check.model import Finding, failed, ok, skipped, together, warning
from webhook.core.model import JsonObject

_ENOUGH: Final = 2
_SLACK_SECONDS: Final = 30
"""Clocks of two machines differ; a lease is called stale only beyond this."""
_LOG: Final = "kubectl logs -n {namespace} deployment/{name}"


def judge_deployment(deployment: JsonObject | None, pods: Iterable[JsonObject], name: str, namespace: str) -> Finding:
    """Judge whether a Deployment of ours has as many ready pods as it wants, and say why not."""
    if deployment is None:
        return failed(f"Deployment {namespace}/{name} does not exist", remedy="apply deploy/ (again)")
    wanted = deployment["spec"].get("replicas", 1)
    ready = (deployment.get("status") or {}).get("readyReplicas") or 0
    if wanted == 0:
        scale = f"kubectl scale -n {namespace} deployment/{name} --replicas={_ENOUGH}"
        return failed(f"Deployment {namespace}/{name} is scaled to 0", remedy=scale)
    if ready >= wanted:
        return ok(f"{ready} of {wanted}")
    reasons = dict.fromkeys(reason for pod in pods for reason in _why_not_ready(pod))
    found = (f"{ready} of {wanted} replicas of Deployment {namespace}/{name} are ready", *reasons)
    remedy = (f"kubectl describe pods -n {namespace}", _LOG.format(namespace=namespace, name=name))
    return warning(*found, remedy=remedy) if ready else failed(*found, remedy=remedy)


def judge_replicas(deployment: JsonObject, name: str, namespace: str) -> Finding:
    """Judge whether one pod may fail without Pods being created bare."""
    wanted = deployment["spec"].get("replicas", 1)
    if wanted >= _ENOUGH:
        return ok(str(wanted))
    return warning(
        f"{wanted}: while it restarts, Pods are created without a sidecar",
        remedy=f"kubectl scale -n {namespace} deployment/{name} --replicas={_ENOUGH}",
    )


def _why_not_ready(pod: JsonObject) -> Iterator[str]:
    """Give the reasons that a pod's own status names, the most telling first."""
    status, name = pod.get("status") or {}, pod["metadata"]["name"]
    conditions = {one.get("type"): one for one in status.get("conditions") or ()}
    if conditions.get("Ready", {}).get("status") == "True":
        return
    scheduled = conditions.get("PodScheduled", {})
    if scheduled.get("status") == "False":
        yield f"pod {name}: {scheduled.get('reason')}: {scheduled.get('message')}"
        return
    told = [reason for one in status.get("containerStatuses") or () for reason in _container_reasons(one)]
    yield from (f"pod {name}: {reason}" for reason in told)
    if not told:
        ready = conditions.get("Ready", {})
        why = ready.get("message") or status.get("message") or status.get("reason") or "no status yet"
        yield f"pod {name}: {status.get('phase') or 'Unknown'}, {why}"


def _container_reasons(status: JsonObject) -> Iterator[str]:
    state, name = status.get("state") or {}, status.get("name")
    if waiting := state.get("waiting"):
        yield f"container {name}: {waiting.get('reason')}{_colon(waiting.get('message'))}{_last(status)}"
    elif terminated := state.get("terminated"):
        yield f"container {name}: ended with exit code {terminated.get('exitCode')}"
    elif not status.get("ready"):
        yield f"container {name}: runs, and is not ready"


def _last(status: JsonObject) -> str:
    ended = (status.get("lastState") or {}).get("terminated")
    return f"; it ended with exit code {ended.get('exitCode')}" if ended else ""


def _colon(text: object) -> str:
    return f": {' '.join(str(text).split())}" if text else ""


def judge_reconciler(deployment: JsonObject | None, pods: Iterable[JsonObject], name: str, namespace: str) -> Finding:
    """Judge the reconciler, which can be left out."""
    if deployment is None:
        return warning(
            f"Deployment {namespace}/{name} does not exist: Pods keep the upstreams they were created with",
            remedy="apply deploy/base (again), or restart workloads whenever a Service is made or changed",
        )
    return judge_deployment(deployment, pods, name, namespace)


def judge_lease(lease: JsonObject | None, name: str, now: datetime) -> Finding:
    """Judge whether a reconciler leads."""
    spec = (lease or {}).get("spec") or {}
    if not spec.get("holderIdentity"):
        return failed(
            f"nobody holds Lease {name}: no Pod's configuration is kept true", remedy=f"see the log of {name}"
        )
    renewed = _time(spec.get("renewTime"))
    if renewed is None:
        return failed(f"Lease {name} was never renewed", remedy=f"see the log of {name}")
    age = (now - renewed).total_seconds()
    if age > (spec.get("leaseDurationSeconds") or 0) + _SLACK_SECONDS:
        return failed(
            f"Lease {name} was last renewed {_ago(age)} ago by {spec['holderIdentity']}",
            remedy=f"see the log of {name}; if it renews, this machine's clock is wrong",
        )
    return ok(f"held by {spec['holderIdentity']}")


def _time(text: object) -> datetime | None:
    try:
        return datetime.fromisoformat(str(text))
    except ValueError:
        return None


def _ago(seconds: float) -> str:
    for unit, length in (("days", 86_400), ("hours", 3_600), ("minutes", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {unit}"
    return f"{seconds:.0f} seconds"


def judge_versions(deployments: Iterable[JsonObject | None]) -> Finding:
    """Judge whether what runs is of this program's version, by the tags of the images."""
    images = {one["metadata"]["name"]: image_of(one) for one in deployments if one is not None}
    if not images:
        return skipped("there is no Deployment to compare with")
    others = [
        warning(
            f"{name} runs {image}, this program is {__version__}",
            remedy="upgrade the older of both: kubectl apply -k deploy/, or the evenkeel command",
        )
        for name, image in images.items()
        if version_of(image) not in (None, __version__)
    ]
    untold = [ok(image) for image in images.values() if version_of(image) is None]
    return together(others, untold[0] if untold else ok(__version__))


def image_of(deployment: JsonObject) -> str:
    """Give the image of a Deployment of ours."""
    return str(deployment["spec"]["template"]["spec"]["containers"][0].get("image"))


def version_of(image: str) -> str | None:
    """Give the version that an image's tag names; None where it is named by digest or has no tag."""
    tag = image.partition("@")[0].rpartition("/")[2].partition(":")[2]
    return tag.removeprefix("v") or None
