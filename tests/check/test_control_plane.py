"""Our own pods: why they are not ready, who leads, and which version runs."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from tests import builders
from tests.check import world
from webhook import __version__
from webhook.check.judge_control_plane import judge_deployment, judge_lease, judge_versions, version_of
from webhook.check.model import Result

NOT_READY = {"type": "Ready", "status": "False", "message": "containers with unready status: [webhook]"}


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        (
            {"conditions": [{"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/3"}]},
            "Unschedulable: 0/3",
        ),
        (
            {
                "containerStatuses": [
                    {
                        "name": "webhook",
                        "state": {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 10s"}},
                        "lastState": {"terminated": {"exitCode": 2}},
                    }
                ]
            },
            "container webhook: CrashLoopBackOff: back-off 10s; it ended with exit code 2",
        ),
        (
            {"containerStatuses": [{"name": "webhook", "state": {"terminated": {"exitCode": 137}}}]},
            "container webhook: ended with exit code 137",
        ),
        (
            {"containerStatuses": [{"name": "webhook", "ready": False, "state": {"running": {}}}]},
            "container webhook: runs, and is not ready",
        ),
        ({"phase": "Running", "conditions": [NOT_READY]}, "Running, containers with unready status: [webhook]"),
        ({"phase": "Failed", "reason": "Evicted"}, "Failed, Evicted"),
        ({"phase": None}, "Unknown, no status yet"),
    ],
    ids=["unschedulable", "crash-loop", "ended", "not-ready", "condition", "evicted", "new"],
)
def test_why_a_pod_is_not_ready(status: dict[str, Any], reason: str) -> None:
    """In the words of its own status."""
    deployment = builders.deployment("web")
    pod = world.member("0", deployment, **status)

    found = judge_deployment(deployment, [pod], "web", "shop")

    assert found.result is Result.FAILED
    assert found.found[1:] == (f"pod web-6d4b-0: {reason}",)


@pytest.mark.parametrize(
    ("seconds", "result"), [(3, Result.OK), (-20, Result.OK), (44, Result.OK), (46, Result.FAILED)]
)
def test_a_lease_is_stale_after_its_time_and_some_slack(seconds: float, result: Result) -> None:
    """Two machines' clocks are never the same."""
    renewed = (world.NOW - timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    lease = {"spec": {"holderIdentity": "a", "leaseDurationSeconds": 15, "renewTime": renewed}}

    assert judge_lease(lease, "evenkeel-reconciler", world.NOW).result is result


@pytest.mark.parametrize("spec", [{}, {"holderIdentity": ""}, {"holderIdentity": "a"}, {"renewTime": "soon"}])
def test_a_lease_that_nobody_renews_is_held_by_nobody(spec: dict[str, Any]) -> None:
    """Also one that somebody garbled."""
    assert judge_lease({"spec": spec}, "evenkeel-reconciler", world.NOW).result is Result.FAILED


@pytest.mark.parametrize(
    ("image", "version"),
    [
        ("docker.io/evenkeel/evenkeel:1.2.3", "1.2.3"),
        ("docker.io/evenkeel/evenkeel:v1.2.3", "1.2.3"),
        ("registry.example.com:5000/evenkeel:1.2.3@sha256:ab", "1.2.3"),
        ("registry.example.com:5000/evenkeel@sha256:ab", None),
        ("registry.example.com:5000/evenkeel", None),
    ],
)
def test_a_version_is_read_from_an_image(image: str, version: str | None) -> None:
    """A port is no tag."""
    assert version_of(image) == version


@pytest.mark.parametrize(
    ("image", "result"),
    [(f"e:{__version__}", Result.OK), ("e@sha256:ab", Result.OK), ("e:9.9", Result.WARNING), (None, Result.SKIPPED)],
)
def test_versions_are_compared_where_they_are_known(image: str | None, result: Result) -> None:
    """An image by digest is what somebody chose."""
    deployment = builders.deployment("web")
    deployment["spec"]["template"]["spec"]["containers"][0]["image"] = image

    assert judge_versions([deployment if image else None]).result is result
