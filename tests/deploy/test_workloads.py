"""The Deployments against the code that runs in them, and against what a cluster asks of a Pod."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import typer.main

from tests.core.restricted import violations
from tests.deploy.objects import BASE, CERTS, Json, base, environment, of_kind, patches, read
from webhook import __version__
from webhook.cli.main import app
from webhook.core import names
from webhook.settings import Settings, environment_name, keys

DEPLOYMENTS = of_kind("Deployment", base())
COMMANDS = {"evenkeel-webhook": "serve", "evenkeel-reconciler": "reconcile", "evenkeel-xds": "xds"}


def pod_of(name: str) -> Json:
    """Give the Pod spec of a Deployment."""
    return DEPLOYMENTS[name]["spec"]["template"]["spec"]


def container_of(name: str) -> Json:
    """Give its only container."""
    [container] = pod_of(name)["containers"]
    return container


def options_of(command: str) -> set[str]:
    """Give the options of a command, which has to exist."""
    parameters = typer.main.get_command(app).commands[command].params  # type: ignore[attr-defined]
    return {flag for parameter in parameters for flag in parameter.opts}


def probes() -> Iterator[tuple[str, str, Json]]:
    """Give every probe with its Deployment and kind."""
    for name in COMMANDS:
        container = container_of(name)
        yield from ((name, kind, container[kind]) for kind in ("startupProbe", "livenessProbe", "readinessProbe"))


@pytest.mark.parametrize("name", COMMANDS)
def test_the_image_is_of_this_version(name: str) -> None:
    """Fully qualified, so that no node's search list decides."""
    assert container_of(name)["image"] == f"docker.io/evenkeel/evenkeel:{__version__}"


@pytest.mark.parametrize(("name", "command"), list(COMMANDS.items()))
def test_a_container_runs_a_command_that_exists(name: str, command: str) -> None:
    """The image's entrypoint is `evenkeel`."""
    first, *options = container_of(name)["args"]

    assert first == command
    assert {option.partition("=")[0] for option in options} <= options_of(command)


def test_the_options_in_patches_exist() -> None:
    """A misspelt one would be a container that ends at once."""
    arguments = [
        argument
        for patch in patches()
        for container in patch["spec"]["template"]["spec"]["containers"]
        for argument in container.get("args", [])[1:]
    ]

    assert arguments
    assert [argument for argument in arguments if argument.partition("=")[0] not in options_of("serve")] == []


def test_every_variable_is_a_setting() -> None:
    """An unknown one would be refused at the start."""
    known = {environment_name(key) for key in keys()}
    found = {name for name, _ in environment()}

    assert {"EVENKEEL_SIDECAR_OWN_NAMESPACE", "EVENKEEL_CERTIFICATE", "EVENKEEL_CLIENT_CA"} <= found
    assert found - known == set()


@pytest.mark.parametrize("name", COMMANDS)
def test_a_pod_keeps_pod_security_restricted(name: str) -> None:
    """Its own namespace enforces it."""
    pod = pod_of(name)

    assert violations(pod, container_of(name), {}) == []
    assert container_of(name)["securityContext"]["readOnlyRootFilesystem"] is True
    assert not {"hostNetwork", "hostPID", "hostIPC"} & set(pod)


@pytest.mark.parametrize("name", COMMANDS)
def test_the_user_is_left_to_the_image_and_to_openshift(name: str) -> None:
    """Which refuses a number outside the namespace's own range."""
    contexts = [pod_of(name)["securityContext"], container_of(name)["securityContext"]]

    assert [context for context in contexts if {"runAsUser", "runAsGroup", "fsGroup"} & set(context)] == []


@pytest.mark.parametrize("name", COMMANDS)
def test_a_pod_asks_for_what_it_needs_and_no_more(name: str) -> None:
    """Requests and limits, a token because it asks for one, no variables of other Services."""
    pod, resources = pod_of(name), container_of(name)["resources"]

    assert set(resources["requests"]) == set(resources["limits"]) == {"cpu", "memory"}
    assert pod["serviceAccountName"] == name
    assert pod["automountServiceAccountToken"] is True
    assert pod["enableServiceLinks"] is False
    assert of_kind("ServiceAccount", base())[name]["automountServiceAccountToken"] is False
    assert pod["priorityClassName"] in of_kind("PriorityClass", base())


@pytest.mark.parametrize("name", COMMANDS)
def test_the_time_to_stop_is_longer_than_we_take(name: str) -> None:
    """A SIGKILL would cut requests in flight."""
    settings = Settings()
    taken = settings.shutdown_delay_seconds + settings.shutdown_limit_seconds

    assert pod_of(name)["terminationGracePeriodSeconds"] >= max(20, taken + 5)


@pytest.mark.parametrize("name", COMMANDS)
def test_a_deployment_selects_its_own_pods_and_only_those(name: str) -> None:
    """They differ by their component."""
    spec = DEPLOYMENTS[name]["spec"]
    labels = {"app.kubernetes.io/name": "evenkeel", "app.kubernetes.io/component": name.removeprefix("evenkeel-")}

    assert spec["selector"] == {"matchLabels": labels}
    assert spec["template"]["metadata"]["labels"] == labels


@pytest.mark.parametrize("name", COMMANDS)
def test_a_rollout_never_has_fewer_replicas_than_asked_for(name: str) -> None:
    """Of which there are two at least, so that one can leave."""
    spec = DEPLOYMENTS[name]["spec"]

    assert spec["replicas"] >= 2
    assert spec["strategy"]["rollingUpdate"] == {"maxUnavailable": 0, "maxSurge": 1}
    assert spec["revisionHistoryLimit"] > 0


@pytest.mark.parametrize("name", COMMANDS)
def test_replicas_are_kept_apart_where_there_is_room(name: str) -> None:
    """Wished for and not demanded: on one node two are still better than one."""
    own = DEPLOYMENTS[name]["spec"]["selector"]
    affinity = pod_of(name)["affinity"]["podAntiAffinity"]
    [term] = affinity["preferredDuringSchedulingIgnoredDuringExecution"]
    spread = pod_of(name).get("topologySpreadConstraints", [])

    assert term["podAffinityTerm"] == {"topologyKey": "kubernetes.io/hostname", "labelSelector": own}
    assert "requiredDuringSchedulingIgnoredDuringExecution" not in affinity
    assert all(one["whenUnsatisfiable"] == "ScheduleAnyway" and one["labelSelector"] == own for one in spread)


@pytest.mark.parametrize("name", ["evenkeel-webhook", "evenkeel-xds"])
def test_what_others_call_is_spread_over_nodes_and_zones(name: str) -> None:
    """Each revision by itself."""
    spread = pod_of(name)["topologySpreadConstraints"]

    assert [one["topologyKey"] for one in spread] == ["kubernetes.io/hostname", "topology.kubernetes.io/zone"]
    assert all(one["matchLabelKeys"] == ["pod-template-hash"] for one in spread)


def test_ports_are_those_of_the_settings() -> None:
    """What others call where there is anything to call; health and metrics everywhere."""
    settings = Settings()
    ports = {name: {port["name"]: port["containerPort"] for port in container_of(name)["ports"]} for name in COMMANDS}

    assert ports["evenkeel-webhook"] == {"https": settings.port, "http": settings.health_port}
    assert ports["evenkeel-reconciler"] == {"http": settings.health_port}
    assert ports["evenkeel-xds"] == {"xds": settings.sidecar.xds_port, "http": settings.health_port}


@pytest.mark.parametrize(("name", "kind", "probe"), list(probes()))
def test_a_probe_asks_what_it_is_for(name: str, kind: str, probe: Json) -> None:
    """Whether to restart, or whether to send callers; on the port that needs no certificate."""
    path = "/readyz" if kind == "readinessProbe" else "/livez"

    assert probe["httpGet"] == {"path": path, "port": "http"}, name


def test_the_service_leads_api_servers_to_the_webhook() -> None:
    """And to nothing in the clear."""
    [port] = of_kind("Service", base())["evenkeel-webhook"]["spec"]["ports"]

    assert (port["port"], port["targetPort"]) == (443, "https")
    assert of_kind("Service", base())["evenkeel-webhook"]["spec"]["selector"] == {
        "app.kubernetes.io/name": "evenkeel",
        "app.kubernetes.io/component": "webhook",
    }


def test_sidecars_find_every_replica_of_the_control_plane_that_is_ready() -> None:
    """By a Service without an address. Its port's name says TLS, which is no gRPC to balance for anybody."""
    spec = of_kind("Service", base())["evenkeel-xds"]["spec"]
    [port] = spec["ports"]

    assert (spec["clusterIP"], spec.get("publishNotReadyAddresses", False)) == ("None", False)
    assert (port["port"], port["targetPort"]) == (Settings().sidecar.xds_port, "xds")
    assert port["name"].startswith("tls-")
    assert spec["selector"] == DEPLOYMENTS["evenkeel-xds"]["spec"]["selector"]["matchLabels"]


def test_the_control_plane_is_given_the_certificate_and_nothing_of_the_ca() -> None:
    """The keys of the CA stand in the same Secret; a Pod that sees them could be anybody."""
    [volume] = pod_of("evenkeel-xds")["volumes"]
    [mount] = container_of("evenkeel-xds")["volumeMounts"]
    options = dict(option.split("=") for option in container_of("evenkeel-xds")["args"][1:])

    assert volume["secret"] == {
        "secretName": Settings().certificate_secret,
        "items": [{"key": key, "path": key} for key in ("tls.crt", "tls.key")],
    }
    assert (mount["name"], mount["readOnly"]) == (volume["name"], True)
    assert options == {
        f"--tls-{what}": f"{mount['mountPath']}/tls.{end}" for what, end in (("cert", "crt"), ("key", "key"))
    }


def test_the_names_in_the_settings_are_those_of_the_objects() -> None:
    """By which the code finds them."""
    settings = Settings()
    [secret] = read(CERTS / "self-managed" / "secret.yaml")

    assert {settings.service, settings.sidecar.xds_service} == set(of_kind("Service", base()))
    assert settings.certificate_secret == secret["metadata"]["name"]
    assert settings.reconcile.lease in of_kind("Lease", base())
    assert settings.webhook_configuration in of_kind("MutatingWebhookConfiguration", base())
    assert settings.webhook_configuration in of_kind("ValidatingWebhookConfiguration", base())
    assert settings.sidecar.own_namespace == names.SYSTEM_NAMESPACE


def test_a_drain_takes_one_replica_at_a_time_and_waits_for_no_broken_one() -> None:
    """Whatever their number, of each Deployment that others call."""
    budgets = of_kind("PodDisruptionBudget", base())

    assert set(budgets) == {"evenkeel-webhook", "evenkeel-xds"}
    for name, budget in budgets.items():
        assert budget["spec"] == {
            "maxUnavailable": 1,
            "unhealthyPodEvictionPolicy": "AlwaysAllow",
            "selector": DEPLOYMENTS[name]["spec"]["selector"],
        }


def test_we_go_before_applications_and_never_before_the_cluster_itself() -> None:
    """Two thousand million is where the system's own classes begin."""
    [priority] = read(BASE / "priority-class.yaml")

    assert 1_000_000 <= priority["value"] < 1_000_000_000
    assert "globalDefault" not in priority
