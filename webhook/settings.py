"""What the operator sets, in one frozen value; every problem is told at once, before anything is served.

Sources, each over the one before: the defaults below, what was found out where the process runs, a YAML file, the
environment, the command line.
A key is the path of a field, such as `port` or `sidecar.ports.egress`. The environment's name for it is the path
in capitals, its parts joined by `_`, after `EVENKEEL_`: `EVENKEEL_PORT`, `EVENKEEL_SIDECAR_PORTS_EGRESS`.
Lists are comma separated there.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Final, Literal, NamedTuple, get_origin, get_type_hints

import yaml
from pydantic import ConfigDict, Field, TypeAdapter, ValidationError

from webhook.core.annotations import nearest, shown
from webhook.core.errors import SettingsError
from webhook.core.model import SidecarSettings
from webhook.settings_checks import check_server, check_sidecar

_Port = Annotated[int, Field(ge=0, le=65535)]
_Seconds = Annotated[float, Field(ge=0, le=3600, allow_inf_nan=False)]
_Wait = Annotated[float, Field(ge=0.02, le=3600, allow_inf_nan=False)]
_Name = Annotated[str, Field(pattern=r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$")]


@dataclass(frozen=True, slots=True)
class ReconcileSettings:
    """How live Pods are kept true."""

    patches_per_second: Annotated[float, Field(gt=0, le=1000, allow_inf_nan=False)] = 50.0
    """So many Pods are written to at most; the API server has others to serve."""
    settle_seconds: _Seconds = 0.25
    """Changes of Services that follow each other this closely are dealt with together."""
    lease: _Name = "evenkeel-reconciler"
    """The Lease in our namespace whose holder writes; all other replicas wait."""


@dataclass(frozen=True, slots=True)
class XdsSettings:
    """How endpoints are pushed."""

    unauthenticated_namespaces: frozenset[_Name] = frozenset()
    """Clients without a token are served what the namespace may see that they claim to be of, if it is one of these.
    Anybody who can reach the port can claim that."""
    review_seconds: Annotated[float, Field(ge=0, le=3600, allow_inf_nan=False)] = 300.0
    """A token's review counts for so long: a Pod that was deleted gets no new stream after it."""
    reviews_at_once: Annotated[int, Field(ge=1, le=1000)] = 16
    """So many tokens are under review at most: after a restart all clients come at once."""


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything the operator decides."""

    tls_cert: Path | None = None
    """The serving certificate and its chain, PEM. `serve` needs it where `certificate` is `files`, `xds` always."""
    tls_key: Path | None = None
    """The certificate's private key, PEM, without a password; needed where `tls_cert` is."""
    client_ca: Path | None = None
    """With it, only clients whose certificate one of these CAs (PEM) signed get an answer."""
    catalog: tuple[Path, ...] = ()
    """Files and folders of manifests that hold the Services, in place of a cluster."""
    kubeconfig: Path | None = None
    """How to reach the cluster; without it as a Pod does, else as kubectl does."""
    templates: Path | None = None
    """A folder that replaces the shipped sidecar_templates/."""
    kubernetes_version: Annotated[str, Field(pattern=r"^(v?\d+\.\d+.*)?$")] = ""
    """The cluster's version such as 1.34; empty asks the API server."""
    certificate: Literal["files", "self-managed"] = "files"
    """Where the serving certificate comes from: `tls_cert` and `tls_key`, or a CA of our own kept in a Secret."""
    certificate_secret: _Name = "evenkeel-webhook-tls"  # noqa: S105  # a name, no secret
    """The Secret of a self-managed certificate, in our namespace."""
    certificate_lifetime_hours: Annotated[int, Field(ge=1, le=8760)] = 168
    """Of a self-managed certificate; it is renewed after two thirds."""
    ca_lifetime_days: Annotated[int, Field(ge=2, le=3650)] = 365
    """Of the CA that signs it; it has a successor after two thirds."""
    service: _Name = "evenkeel-webhook"
    """The Service by which API servers call `serve`; the certificate is for its name."""
    webhook_configuration: _Name = "evenkeel"
    """The MutatingWebhookConfiguration and ValidatingWebhookConfiguration whose caBundle must fit the certificate."""
    host: str = ""
    """The address to listen on; empty is all of them, IPv4 and IPv6."""
    port: _Port = 10250
    """For admissions, HTTPS. 0 is any free one; the log says which."""
    health_port: _Port = 8080
    """For /livez, /readyz and /metrics, plain HTTP."""
    log_format: Literal["auto", "json", "console"] = "auto"
    """`auto` is `console` on a terminal and `json` elsewhere."""
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    max_body_bytes: Annotated[int, Field(ge=1024, le=64 * 1024 * 1024)] = 4 * 1024 * 1024
    """A review is at most this large. etcd keeps no object above 1.5 MiB; JSON and the old object take their share."""
    body_seconds: _Wait = 0.9
    """A request's body must have come by then: the answer shall leave within a second."""
    poll_seconds: _Wait = 1.0
    """How often certificate and catalog files are looked at."""
    keep_alive_seconds: Annotated[int, Field(ge=1, le=3600)] = 180
    """An idle connection is closed after this. Longer than the API server's own 90 s, so that it closes first:
    whoever closes may hit a request that is just on its way."""
    shutdown_delay_seconds: _Seconds = 5.0
    """After a signal the listener stays open this long, so that no endpoint points at a closed port."""
    shutdown_limit_seconds: _Wait = 10.0
    """Requests in flight may take this long after the listener has closed."""
    reconcile: ReconcileSettings = field(default=ReconcileSettings())
    """What `reconcile` does."""
    xds: XdsSettings = field(default=XdsSettings())
    """What `xds` does."""
    sidecar: SidecarSettings = field(default=SidecarSettings())
    """What every sidecar gets."""


class _Given(NamedTuple):
    """A value as the operator wrote it, and where."""

    value: Any
    place: str


def load_settings(
    file: Path | None, env: Mapping[str, str], flags: Mapping[str, Any], found: Mapping[str, Any] | None = None
) -> Settings:
    """Read the settings from their sources, the later over the earlier.

    `flags` has the keys of Settings (`tls_cert`, `sidecar.image`); None and an empty tuple mean "not given".
    `found` has what the process found out about its cluster, which everything that somebody wrote overrules.
    Raises SettingsError with every problem: where it was written, what was found, what would do.
    """
    problems: list[str] = []
    given = {key: _Given(value, f"{key}, as found in the cluster") for key, value in (found or {}).items()}
    given |= dict(_from_file(file, problems)) if file else {}
    given |= dict(_from_environment(env, problems))
    given |= dict(_from_flags(flags, problems))
    values: dict[str, Any] = {}
    for key, one in given.items():
        try:
            values[key] = _convert(key, one)
        except ValueError as error:
            problems.append(f"{one.place}: found {shown(str(one.value))}; {error}")
    places = {key: one.place for key, one in given.items()}
    settings: Settings = _replace(Settings(), "", values)
    problems += check_server(settings, places)
    problems += check_sidecar(settings.sidecar, places)
    if problems:
        raise SettingsError(problems)
    return settings


@cache
def keys() -> Mapping[str, Any]:
    """Give every key that can be set, with its type."""
    return dict(_leaves(Settings, ""))


def environment_name(key: str) -> str:
    """Give the name of a key in the environment."""
    return f"EVENKEEL_{key.upper().replace('.', '_')}"


def _leaves(holder: Any, prefix: str) -> Iterator[tuple[str, Any]]:
    for name, hint in get_type_hints(holder, include_extras=True).items():
        if dataclasses.is_dataclass(hint):
            yield from _leaves(hint, f"{prefix}{name}.")
        else:
            yield prefix + name, hint


def _replace(default: Any, prefix: str, values: Mapping[str, Any]) -> Any:
    """Copy a dataclass with the values under a prefix in place of its own."""
    chosen = {}
    for part in dataclasses.fields(default):
        current = getattr(default, part.name)
        if dataclasses.is_dataclass(current):
            chosen[part.name] = _replace(current, f"{prefix}{part.name}.", values)
        else:
            chosen[part.name] = values.get(prefix + part.name, current)
    return dataclasses.replace(default, **chosen)


def _from_file(file: Path, problems: list[str]) -> Iterator[tuple[str, _Given]]:
    try:
        document = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError, RecursionError) as error:
        problems.append(f"settings file {file}: cannot be read: {' '.join(str(error).split())}")
        return
    if not isinstance(document, dict | None):
        problems.append(f"settings file {file}: found a {type(document).__name__}, expected keys with values")
        return
    yield from _flatten(document or {}, "", f"settings file {file}", problems)


def _flatten(document: Mapping[Any, Any], prefix: str, place: str, problems: list[str]) -> Iterator[tuple[str, _Given]]:
    for name, value in document.items():
        key = f"{prefix}{name}"
        if key in keys():
            yield key, _Given(value, f"{place}: {key}")
        elif not any(known.startswith(f"{key}.") for known in keys()):
            problems.append(f"{place}: unknown key {shown(key)}{nearest(key, keys())}")
        elif isinstance(value, dict):
            yield from _flatten(value, f"{key}.", place, problems)
        elif value is not None:
            problems.append(f"{place}: {key}: found {shown(str(value))}, expected keys with values")


_SERVICE_LINK: Final = re.compile(r"EVENKEEL_(\w+_)?(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT_\d+_\w+)")
_OF_TESTS: Final = "EVENKEEL_E2E_"
"""What the tests are told, such as a cluster to run in, is no setting."""
_SERVICE_URL: Final = re.compile(r"EVENKEEL_(\w+_)?PORT=\w+://.*")


def _is_service_link(name: str, value: str) -> bool:
    """Say whether a kubelet wrote this: it tells containers about a Service called `evenkeel` or `evenkeel-...`."""
    return bool(_SERVICE_LINK.fullmatch(name) or _SERVICE_URL.fullmatch(f"{name}={value}"))


def _from_environment(env: Mapping[str, str], problems: list[str]) -> Iterator[tuple[str, _Given]]:
    names = {environment_name(key): key for key in keys()}
    for name, value in sorted(env.items()):
        if not name.startswith("EVENKEEL_") or name.startswith(_OF_TESTS) or _is_service_link(name, value):
            continue
        if name in names:
            yield names[name], _Given(value, f"environment {name}")
        else:
            problems.append(f"environment: unknown name {name}{nearest(name, names)}")


_FLAGS: Final = {"sidecar.xds_port": "--port"}
"""Those that are not called as their settings."""


def _from_flags(flags: Mapping[str, Any], problems: list[str]) -> Iterator[tuple[str, _Given]]:
    for key, value in flags.items():
        if key not in keys():
            problems.append(f"unknown setting {shown(key)}{nearest(key, keys())}")
        elif value is not None and value not in ((), []):
            # A command's own settings have flags without its name.
            yield key, _Given(value, _FLAGS.get(key) or f"--{key.replace('_', '-').replace('.', '-')}")


def _convert(key: str, given: _Given) -> Any:
    """Give the value as the field's type has it; raises ValueError with what would do."""
    hint, value = keys()[key], given.value
    if get_origin(hint) in (tuple, frozenset) and isinstance(value, str):
        value = [part.strip() for part in value.split(",") if part.strip()]
    try:
        # A quantity such as `cpu_limit: 2` is a number to YAML and a text to Kubernetes.
        return TypeAdapter(hint, config=ConfigDict(coerce_numbers_to_str=True)).validate_python(value)
    except ValidationError as error:
        found = error.errors()[0]
        raise ValueError(f"expected {found['msg'].removeprefix('Input should be ')}") from error
