"""What stands in the way of an installation, judged from facts alone."""

from __future__ import annotations

import pytest

from tests.check import world
from tests.check.kit import findings
from webhook.check import judge_before
from webhook.check.model import Result
from webhook.check.registry import BEFORE
from webhook.check.shipped import Permission


@pytest.mark.parametrize(
    ("version", "result"),
    [((1, 29), Result.FAILED), ((1, 30), Result.OK), ((1, 34), Result.OK), ((2, 0), Result.OK)],
)
def test_the_api_server_is_judged_by_its_version(version: tuple[int, int], result: Result) -> None:
    """The first that has policies will do."""
    assert judge_before.judge_server(*version, "v").result is result


@pytest.mark.parametrize(
    ("version", "result"),
    [
        ("v1.29.0", Result.OK),
        ("v1.29.3-eks-adc7111", Result.OK),
        ("1.31.0", Result.OK),
        ("v1.28.15", Result.FAILED),
        ("", Result.FAILED),
        ("unknown", Result.FAILED),
    ],
)
def test_a_kubelet_is_judged_by_its_version(version: str, result: Result) -> None:
    """One that does not say its version may be too old."""
    assert judge_before.judge_kubelets([world.node(version=version)]).result is result


def test_only_linux_counts_and_every_offender_is_named() -> None:
    """No sidecar goes to a Windows node."""
    nodes = [world.node("a", "v1.28.1"), world.node("b", "v1.27.1", "windows"), world.node("c", "v1.26.1")]

    assert judge_before.judge_kubelets(nodes).found == (
        "node a runs kubelet v1.28.1",
        "node c runs kubelet v1.26.1",
    )


def test_a_cluster_without_nodes_is_worth_a_warning() -> None:
    """It may get old ones later."""
    assert judge_before.judge_kubelets([]).result is Result.WARNING


def test_every_missing_permission_is_named() -> None:
    """Whoever asks an administrator for them asks once."""
    one, other = Permission("create", "", "namespaces"), Permission("create", "apps", "deployments", "evenkeel-system")

    found = judge_before.judge_permissions({one: False, other: False, Permission("create", "", "services"): True})

    assert found.found == (
        "you may not create namespaces",
        "you may not create deployments.apps in evenkeel-system",
    )


@pytest.mark.parametrize(
    ("entry", "mesh"),
    [
        ("rev.namespace.sidecar-injector.istio.io", "Istio"),
        ("linkerd-proxy-injector.linkerd.io", "Linkerd"),
        ("consul-connect-inject.consul.hashicorp.com", "Consul"),
        ("namespace-kuma-injector.kuma.io", "Kuma"),
    ],
)
def test_another_mesh_is_known_by_its_webhook(entry: str, mesh: str) -> None:
    """Whatever its configuration is called."""
    configuration = {"metadata": {"name": "theirs"}, "webhooks": [{"name": entry}]}

    assert judge_before.judge_meshes([configuration]).found == (f"{mesh} (theirs) injects Pods in this cluster",)


def test_webhooks_that_inject_no_proxy_are_no_mesh() -> None:
    """Also ours, and a mesh's other webhooks."""
    names = ("inject.evenkeel.dev", "webhook.cert-manager.io", "validation.istio.io", "policy.linkerd.io")
    configuration = {"metadata": {"name": "theirs"}, "webhooks": [{"name": name} for name in names]}

    assert judge_before.judge_meshes([configuration]).result is Result.OK


async def test_a_cluster_that_is_fit_has_nothing_but_ticks() -> None:
    """No check cries wolf."""
    found = await findings(world.healthy(), BEFORE)

    assert {finding.result for finding in found.values()} == {Result.OK}


@pytest.mark.parametrize(("served", "overlay"), [(True, "overlays/cert-manager"), (False, "overlays/self-managed")])
async def test_the_overlay_is_chosen_by_what_is_there(served: bool, overlay: str) -> None:
    """Both ways are good."""
    api = world.healthy()
    if served:
        api.served["/apis/cert-manager.io/v1"] = ("certificates", "issuers")

    assert overlay in (await findings(api, BEFORE))["cert-manager"].found[0]


async def test_what_may_not_be_created_is_found_by_asking_the_api_server() -> None:
    """It alone knows."""
    api = world.healthy()
    api.denied.add(("", "create priorityclasses"))

    found = (await findings(api, BEFORE))["permissions"]

    assert found.result is Result.FAILED
    assert found.found == ("you may not create priorityclasses.scheduling.k8s.io",)
