"""The set of templates, each with the placeholders that it must have."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from webhook.core import names
from webhook.core.annotations import nearest
from webhook.core.errors import TemplateError
from webhook.core.model import JsonObject, Retry
from webhook.core.template import Template

PLACEHOLDERS: Final[Mapping[str, tuple[str, ...]]] = {
    "sidecar": (
        "name",
        "image",
        "bootstrap_file",
        "concurrency",
        "log_level",
        "probe_port",
        "lifecycle",
        "resources",
        "run_as_user",
        "volume",
        "config_folder",
    ),
    "bootstrap": (
        "admin_port",
        "probe_port",
        "any_address",
        "ipv4_compat",
        "clusters_file",
        "listeners_file",
        "config_folder",
    ),
    "cluster": ("name", "lb_policy", "dns_refresh_rate", "address", "port"),
    "forward_proxy": ("name",),
    "app_cluster": ("name", "port"),
    "egress": ("name", "port", "additional_addresses", "access_log", "routes", "routes_file", "config_folder"),
    "ingress": ("name", "any_address", "ipv4_compat", "port", "cluster"),
    "access_log": (),
    "retries": (),
    "pushed": ("service_name",),
    "aggregate": ("name", "clusters"),
    "health_check": (),
    "captured": ("name", "address", "port", "cluster", "access_log", "routes", "routes_file", "config_folder"),
    "pass_through": ("name", "address", "port", "cluster"),
    "ads": ("cluster", "address", "port", "server_name", "identity_file", "trust_file", "config_folder"),
    "trust": ("authorities",),
    "identity": ("token_file",),
}
"""Template -> its placeholders, all of which it must use."""
_LISTS: Final = ("access_log", "health_check")


@dataclass(frozen=True, slots=True)
class Templates:
    """Every template, checked."""

    sidecar: Template
    bootstrap: Template
    cluster: Template
    forward_proxy: Template
    app_cluster: Template
    egress: Template
    ingress: Template
    access_log: Template
    retries: Template
    pushed: Template
    aggregate: Template
    health_check: Template
    captured: Template
    pass_through: Template
    ads: Template
    trust: Template
    identity: Template


def make_templates(documents: Mapping[str, Any]) -> Templates:
    """Check parsed documents, one for each name in PLACEHOLDERS, and make the set.

    Raises TemplateError with every problem of every document, each with its file and key.
    """
    problems: list[str] = []
    made: dict[str, Template] = {}
    for name, placeholders in PLACEHOLDERS.items():
        try:
            made[name] = Template(f"{name}.yaml", documents.get(name), placeholders)
        except TemplateError as error:
            problems += error.problems
    problems += _shape_problems(documents)
    if problems:
        raise TemplateError(problems)
    return Templates(**made)


def _shape_problems(documents: Mapping[str, Any]) -> list[str]:
    """Name what would give a sidecar that cannot work, whatever the placeholders are."""
    problems = [
        f"{name}.yaml: found {_kind(documents.get(name))}, expected {wanted}"
        for name in PLACEHOLDERS
        if not isinstance(documents.get(name), kind := list if name in _LISTS else dict)
        for wanted in ("a list" if kind is list else "a mapping",)
    ]
    sidecar, retries = documents.get("sidecar"), documents.get("retries")
    if isinstance(sidecar, dict):
        problems += _sidecar_problems(sidecar)
    if isinstance(retries, dict):
        problems += _retry_problems(retries)
    return problems


def _sidecar_problems(sidecar: JsonObject) -> list[str]:
    wanted = {
        "name": "$name",
        "image": "$image",
        "restartPolicy": "Always",
        "resources": "$resources",
    }
    problems = [
        f"sidecar.yaml: {key}: found {sidecar.get(key)!r}, expected {value}"
        for key, value in wanted.items()
        if sidecar.get(key) != value
    ]
    mounts = sidecar.get("volumeMounts")
    mounted = [mount.get("name") for mount in mounts if isinstance(mount, dict)] if isinstance(mounts, list) else []
    if "$volume" not in mounted:
        problems.append(f"sidecar.yaml: volumeMounts: expected a mount of $volume at $config_folder, found {mounted}")
    return problems


def _retry_problems(retries: JsonObject) -> list[str]:
    wanted = [str(retry) for retry in Retry if retry is not Retry.OFF]
    unknown = [f"retries.yaml: {key}: unknown{nearest(str(key), wanted)}" for key in retries if key not in wanted]
    missing = [f"retries.yaml: {key} is missing" for key in wanted if not isinstance(retries.get(key), dict)]
    return unknown + missing


def _kind(value: Any) -> str:
    return "nothing" if value is None else type(value).__name__


def config_file(annotation: str) -> str:
    """Give the path at which the sidecar reads what an annotation of ours says."""
    return f"{names.CONFIG_FOLDER}/{names.FILES[annotation]}"
