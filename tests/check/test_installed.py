"""The settings of a cluster's webhook are read from how its container is started."""

from __future__ import annotations

from typing import Any

import pytest

from tests import builders
from tests.check import world
from tests.check.api import FakeApi, Json
from tests.check.kit import context, findings
from webhook.check.container import config_maps_of, started
from webhook.check.installed import cluster_domain, read_settings
from webhook.check.model import Result, Unknown
from webhook.core import names


def template(*arguments: str, volumes: list[Json] | None = None, mounts: list[Json] | None = None, **more: Any) -> Json:
    """Make the webhook's pod template."""
    container = {"name": "webhook", "args": ["serve", *arguments], "volumeMounts": mounts or [], **more}
    return {"spec": {"containers": [{"name": "helper"}, container], "volumes": volumes or []}}


SETTINGS = [{"name": "settings", "configMap": {"name": "evenkeel"}}]
MOUNTED = [{"name": "settings", "mountPath": "/etc/evenkeel"}]


@pytest.mark.parametrize(
    ("made", "path"),
    [
        (template(volumes=SETTINGS, mounts=MOUNTED), "/etc/evenkeel/settings.yaml"),
        (
            template(volumes=SETTINGS, mounts=[{**MOUNTED[0], "mountPath": "/my.yaml", "subPath": "settings.yaml"}]),
            "/my.yaml",
        ),
        (
            template(
                volumes=[
                    {
                        "name": "settings",
                        "configMap": {"name": "evenkeel", "items": [{"key": "settings.yaml", "path": "of/mine.yaml"}]},
                    }
                ],
                mounts=MOUNTED,
            ),
            "/etc/evenkeel/of/mine.yaml",
        ),
        (
            template(
                volumes=[{"name": "settings", "projected": {"sources": [{"configMap": {"name": "evenkeel"}}]}}],
                mounts=MOUNTED,
            ),
            "/etc/evenkeel/settings.yaml",
        ),
    ],
    ids=["folder", "one-file", "items", "projected"],
)
def test_a_config_map_s_files_are_where_the_container_sees_them(made: Json, path: str) -> None:
    """However the volume is spelled."""
    assert config_maps_of(made) == ("evenkeel",)
    assert started(made, {"evenkeel": {"settings.yaml": "a: 1"}}, "ns").files == {path: "a: 1"}


def test_the_environment_is_read_wherever_it_can_be() -> None:
    """Later entries win; what a Secret or the node holds cannot be read here."""
    made = template(
        envFrom=[{"prefix": "EVENKEEL_", "configMapRef": {"name": "all"}}],
        env=[
            {"name": "A", "value": "plain"},
            {"name": "B", "valueFrom": {"fieldRef": {"fieldPath": "metadata.namespace"}}},
            {"name": "C", "valueFrom": {"configMapKeyRef": {"name": "one", "key": "c"}}},
            {"name": "D", "valueFrom": {"secretKeyRef": {"name": "one", "key": "d"}}},
            {"name": "E", "valueFrom": {"fieldRef": {"fieldPath": "status.hostIP"}}},
        ],
    )
    found = started(made, {"all": {"PORT": "1"}, "one": {"c": "mapped"}}, "ns")

    assert config_maps_of(made) == ("all", "one")
    assert found.env == {"EVENKEEL_PORT": "1", "A": "plain", "B": "ns", "C": "mapped"}
    assert found.unread == ("D", "E")


@pytest.mark.parametrize("arguments", [("--settings", "/s.yaml"), ("--settings=/s.yaml",)])
def test_an_option_may_be_written_in_two_ways(arguments: tuple[str, ...]) -> None:
    """As the command line takes both."""
    assert started(template(*arguments), {}, "ns").option("--settings") == "/s.yaml"


def test_settings_come_from_file_and_environment() -> None:
    """The environment over the file, as in the webhook."""
    made = template(
        "--settings",
        "/etc/evenkeel/settings.yaml",
        volumes=SETTINGS,
        mounts=MOUNTED,
        env=[{"name": "EVENKEEL_SIDECAR_CONCURRENCY", "value": "7"}],
    )
    text = "sidecar: {concurrency: 5, log_level: info}"

    sidecar, _ = read_settings(started(made, {"evenkeel": {"settings.yaml": text}}, "ns"))

    assert (sidecar.concurrency, sidecar.log_level) == (7, "info")


@pytest.mark.parametrize(
    ("made", "says"),
    [
        (template("--settings", "/nowhere.yaml"), "--settings /nowhere.yaml of Deployment evenkeel-webhook comes from"),
        (template("--templates", "/nowhere"), "templates /nowhere of Deployment evenkeel-webhook come from no Config"),
        (
            template(env=[{"name": "EVENKEEL_SIDECAR_IMAGE", "valueFrom": {"secretKeyRef": {"name": "a"}}}]),
            "that cannot be read here: EVENKEEL_SIDECAR_IMAGE",
        ),
        (template(env=[{"name": "EVENKEEL_NEW_THING", "value": "1"}]), "this version cannot read: environment: unkno"),
    ],
    ids=["settings", "templates", "secret", "newer"],
)
def test_what_cannot_be_read_is_said_and_nothing_guessed(made: Json, says: str) -> None:
    """A guess would call Pods out of date that are not."""
    with pytest.raises(Unknown) as caught:
        read_settings(started(made, {}, "ns"))

    assert says in str(caught.value)


def configured(api: FakeApi, name: str, text: str, *arguments: str) -> None:
    """Start the webhook of a cluster with a ConfigMap."""
    spec = api.find("Deployment", "evenkeel-webhook")["spec"]["template"]["spec"]
    spec["volumes"] = [{"name": "own", "configMap": {"name": "own"}}]
    spec["containers"][0]["volumeMounts"] = [{"name": "own", "mountPath": "/own"}]
    spec["containers"][0]["args"] = ["serve", *arguments]
    metadata = {"name": "own", "namespace": world.SYSTEM}
    api.put({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {name: text}})


async def test_an_operator_s_settings_make_no_pod_out_of_date() -> None:
    """Pods that the cluster's own webhook would make so are right; those of before are not."""
    api = world.healthy()
    configured(
        api, "s.yaml", "sidecar: {dns_refresh_seconds: 9, image: r.example.com/e:1}", "--settings", "/own/s.yaml"
    )

    found = await findings(api)

    assert found["envoy-image"].found[0].endswith("now it would be r.example.com/e:1")
    assert found["configuration"].result is Result.WARNING
    assert (await context(api).installed.sidecar()).dns_refresh_seconds == 9


async def test_an_operator_s_templates_count_as_well() -> None:
    """They come from a ConfigMap or from nowhere that can be seen."""
    api = world.healthy()
    configured(api, "access_log.yaml", "a: [", "--templates", "/own")

    found = await findings(api)

    assert found["configuration"].result is Result.SKIPPED
    assert "access_log.yaml" in found["configuration"].found[0]


async def test_settings_that_cannot_be_read_skip_what_needs_them_only() -> None:
    """All else is looked at."""
    api = world.healthy()
    configured(api, "s.yaml", "", "--settings", "/elsewhere/s.yaml")

    found = await findings(api)
    skipped = {name for name, finding in found.items() if finding.result is not Result.OK}

    assert {"configuration", "bootstrap", "envoy-image", "bare-pods", "dns-rate"} <= skipped
    assert found["dry-run"].result is Result.OK


async def test_the_cluster_s_domain_is_what_the_webhook_once_wrote() -> None:
    """It finds the domain where it runs, which is not here."""
    api = world.healthy()
    for number in range(2):
        annotations = api.find("Pod", f"web-6d4b-{number}")["metadata"]["annotations"]
        for key in names.CONFIGURATION:
            annotations[key] = annotations[key].replace("cluster.local", "k8s.example.net")

    assert (await context(api).installed.sidecar()).cluster_domain == "k8s.example.net"
    assert (await findings(api))["configuration"].result is Result.OK


async def test_pods_that_listen_on_ipv6_say_that_the_webhook_found_some() -> None:
    """Where it runs, too; an IPv4 cluster's Pods are not taken for out of date, nor those."""
    api = world.healthy()
    before = (await context(api).installed.sidecar()).ipv6
    for number in range(2):
        annotations = api.find("Pod", f"web-6d4b-{number}")["metadata"]["annotations"]
        annotations[names.BOOTSTRAP] = annotations[names.BOOTSTRAP].replace("ipv4_compat: false", "ipv4_compat: true")

    assert before is False
    assert (await context(api).installed.sidecar()).ipv6 is True


def test_without_a_pod_that_names_it_the_domain_is_not_known() -> None:
    """A sidecar without upstreams names none."""
    assert cluster_domain([builders.pod(), world.injected(builders.pod())]) is None


async def test_a_webhook_of_another_version_writes_other_configurations() -> None:
    """So nothing is compared with what this version would write."""
    api = world.healthy()
    container = api.find("Deployment", "evenkeel-webhook")["spec"]["template"]["spec"]["containers"][0]
    container["image"] = "docker.io/evenkeel/evenkeel:9.9.9"

    found = (await findings(api))["configuration"]

    assert found.result is Result.SKIPPED
    assert "the webhook is of version 9.9.9" in found.found[0]
