"""The metrics of the API server that the shipped alerts ask for exist, and count what the alerts say."""

from __future__ import annotations

import pytest
import yaml

from tests.cluster.kit.install import ROOT, pod, total
from tests.cluster.kit.policies import policies_alone
from webhook.core import names

pytestmark = [pytest.mark.cluster, pytest.mark.asyncio(loop_scope="session")]

CHECKS = "apiserver_validating_admission_policy_check_total"


def _alert(name: str) -> str:
    rule = yaml.safe_load((ROOT / "deploy" / "components" / "alerts" / "alerts.yaml").read_text())
    (found,) = (one for group in rule["spec"]["groups"] for one in group["rules"] if one["alert"] == name)
    return found["expr"]


async def test_bare_pods_are_counted_by_policy_and_by_what_it_did(world) -> None:
    """One that is warned about is one more."""
    labels = {"policy": "evenkeel-bare-pods", "enforcement_action": "warn"}
    await world.namespace("alerts", {names.INJECT: names.ENABLED})
    async with policies_alone(world):
        warnings: tuple[str, ...] = ()
        while not warnings:
            before = total(await world.plane.metrics(), CHECKS, **labels)
            _, warnings = await world.rest.post_with_warnings("/api/v1/namespaces/alerts/pods", pod(), dryRun="All")
        after = total(await world.plane.metrics(), CHECKS, **labels)

    assert f'{CHECKS}{{policy="evenkeel-bare-pods"' in _alert("EvenkeelBarePods")
    assert after == before + 1
