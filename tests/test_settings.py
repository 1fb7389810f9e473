"""Where settings come from, and how every problem of them is told."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from webhook.core.errors import SettingsError
from webhook.settings import Settings, environment_name, keys, load_settings


def _file(folder: Path, text: str) -> Path:
    path = folder / "settings.yaml"
    path.write_text(text)
    return path


def _problems(file: Path | None = None, env: Mapping[str, str] | None = None, **flags: Any) -> tuple[str, ...]:
    with pytest.raises(SettingsError) as caught:
        load_settings(file, env or {}, flags)
    return caught.value.problems


def test_nothing_given_is_the_defaults() -> None:
    """Every setting has a default; what `serve` needs beyond it says itself."""
    assert Settings() == load_settings(None, {}, {})


def test_flags_go_over_the_environment_over_the_file(tmp_path: Path) -> None:
    """The nearer to the command line, the stronger."""
    file = _file(tmp_path, "port: 1\nhealth_port: 2\nhost: file\n")

    settings = load_settings(file, {"EVENKEEL_HEALTH_PORT": "3", "EVENKEEL_HOST": "env"}, {"host": "flag"})

    assert (1, 3, "flag") == (settings.port, settings.health_port, settings.host)


def test_a_flag_that_is_not_given_changes_nothing() -> None:
    """Command lines give None, or no paths, for what was not said."""
    settings = load_settings(None, {"EVENKEEL_PORT": "7", "EVENKEEL_CATALOG": "a"}, {"port": None, "catalog": ()})

    assert (7, (Path("a"),)) == (settings.port, settings.catalog)


def test_what_was_found_in_the_cluster_is_the_weakest(tmp_path: Path) -> None:
    """The cluster's own domain goes over our guess, and under everything that somebody wrote."""
    found = {"sidecar.cluster_domain": "corp.example", "sidecar.own_namespace": "sidecars"}

    settings = load_settings(None, {"EVENKEEL_SIDECAR_OWN_NAMESPACE": "mine"}, {}, found)

    assert ("corp.example", "mine") == (settings.sidecar.cluster_domain, settings.sidecar.own_namespace)


def test_what_tests_are_told_is_no_setting() -> None:
    """A shell that names a cluster for the tests runs the command all the same."""
    assert Settings() == load_settings(None, {"EVENKEEL_E2E_KUBECONFIG": "admin.conf"}, {})


def test_nested_keys_of_the_sidecar_are_set_one_by_one(tmp_path: Path) -> None:
    """What is not said keeps its default, at every depth."""
    file = _file(tmp_path, "sidecar:\n  ports: {egress: 9100}\n  resources: {cpu_limit: 3}\n")

    sidecar = load_settings(file, {"EVENKEEL_SIDECAR_PORTS_ADMIN": "8100"}, {}).sidecar

    assert (9100, 15001, 8100) == (sidecar.ports.egress, sidecar.ports.ingress, sidecar.ports.admin)
    assert ("3", "50m") == (sidecar.resources.cpu_limit, sidecar.resources.cpu_request)


def test_lists_in_the_environment_are_comma_separated() -> None:
    """Spaces and a last comma are no matter."""
    settings = load_settings(
        None, {"EVENKEEL_CATALOG": "a, b,", "EVENKEEL_SIDECAR_SYSTEM_NAMESPACES": "kube-system,istio-system"}, {}
    )

    assert (Path("a"), Path("b")) == settings.catalog
    assert {"kube-system", "istio-system"} == settings.sidecar.system_namespaces


def test_every_key_has_a_name_of_its_own_in_the_environment() -> None:
    """No two keys share one, though their parts are joined by what names may contain."""
    assert len(keys()) == len({environment_name(key) for key in keys()})


def test_all_problems_are_told_at_once_with_their_places(tmp_path: Path) -> None:
    """File, environment and flags each name what they said."""
    file = _file(tmp_path, "prot: 1\nsidecar: {imgae: x, ports: 5}\nlog_format: xml\n")

    problems = _problems(file, {"EVENKEEL_HELTH_PORT": "1", "EVENKEEL_PORT": "many"}, poll_seconds=0)

    assert f"settings file {file}: unknown key 'prot'; did you mean port?" in problems
    assert f"settings file {file}: unknown key 'sidecar.imgae'; did you mean sidecar.image?" in problems
    assert f"settings file {file}: sidecar.ports: found '5', expected keys with values" in problems
    assert f"settings file {file}: log_format: found 'xml'; expected 'auto', 'json' or 'console'" in problems
    assert "environment: unknown name EVENKEEL_HELTH_PORT; did you mean EVENKEEL_HEALTH_PORT?" in problems
    assert any(problem.startswith("environment EVENKEEL_PORT: found 'many'; expected a valid") for problem in problems)
    assert any(problem.startswith("--poll-seconds: found '0'; expected greater than") for problem in problems)
    assert 7 == len(problems)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("image", "envoy"),
        ("ports.egress", "0"),
        ("ports.egress", "15001"),
        ("cluster_domain", "Cluster_Local"),
        ("log_level", "loud"),
        ("concurrency", "0"),
        ("resources.cpu_request", "3"),
        ("resources.memory_limit", "512"),
        ("resources.memory_limit", "1Mi"),
        ("guaranteed_cpu", "some"),
        ("dns_refresh_seconds", "0"),
        ("system_namespaces", "kube_system"),
        ("own_namespace", "-"),
        ("ipv6", "perhaps"),
    ],
)
def test_a_bad_value_for_the_sidecar_is_refused_at_the_start(key: str, value: str) -> None:
    """Better no webhook than Pods that no node can run."""
    name = environment_name(f"sidecar.{key}")

    problems = _problems(None, {name: value})

    assert any(name in problem or key.rsplit(".", maxsplit=1)[-1] in problem for problem in problems)


@pytest.mark.parametrize("text", ["port: [", "- a", "port", "\t"])
def test_a_file_that_is_no_mapping_is_refused(tmp_path: Path, text: str) -> None:
    """The file is named, in one line."""
    (problem,) = _problems(_file(tmp_path, text))

    assert problem.startswith(f"settings file {tmp_path / 'settings.yaml'}: ")
    assert "\n" not in problem


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    """The file is named."""
    (problem,) = _problems(tmp_path / "nowhere.yaml")

    assert "nowhere.yaml: cannot be read" in problem


def test_an_empty_file_says_nothing(tmp_path: Path) -> None:
    """Comments alone are no mistake."""
    assert Settings() == load_settings(_file(tmp_path, "# port: 1\n"), {}, {})


def test_what_a_kubelet_says_of_services_is_not_taken_for_settings() -> None:
    """A Service called `evenkeel` beside us fills the environment with names that begin like ours."""
    env = {
        "EVENKEEL_PORT": "tcp://10.96.0.9:443",
        "EVENKEEL_PORT_443_TCP": "tcp://10.96.0.9:443",
        "EVENKEEL_PORT_443_TCP_ADDR": "10.96.0.9",
        "EVENKEEL_SERVICE_HOST": "10.96.0.9",
        "EVENKEEL_SERVICE_PORT": "443",
        "EVENKEEL_SERVICE_PORT_HTTPS": "443",
        "EVENKEEL_WEBHOOK_PORT": "tcp://10.96.0.9:443",
        "EVENKEEL_WEBHOOK_SERVICE_PORT": "443",
    }

    assert Settings() == load_settings(None, env, {})


def test_one_port_cannot_serve_both() -> None:
    """Health is in the clear, admissions are not."""
    (problem,) = _problems(port=8080)

    assert problem.startswith("health_port: found 8080, which is `port`")
