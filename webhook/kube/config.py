"""How the API server is reached: from inside a Pod, or by a kubeconfig; and what a Pod's files say of its cluster."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import yaml
from kubernetes.aio.client.configuration import Configuration
from kubernetes.aio.config import ConfigException
from kubernetes.aio.config.incluster_config import InClusterConfigLoader
from kubernetes.aio.config.kube_config import load_kube_config

from webhook.core.errors import SettingsError

SERVICE_ACCOUNT: Final = Path("/var/run/secrets/kubernetes.io/serviceaccount")
_SEARCH: Final = re.compile(r"^\s*search\s+(.*)$", re.MULTILINE)
_UNREADABLE: Final = (ConfigException, OSError, ValueError, KeyError, TypeError, AttributeError, yaml.YAMLError)
"""What the library raises for a broken kubeconfig: it checks some of the shape and trips over the rest."""


@dataclass(frozen=True, slots=True)
class Access:
    """Where credentials come from; they are read anew each time, since all of them expire."""

    kubeconfig: str | None
    """One path, or several as KUBECONFIG joins them; None is the Pod's service account."""
    context: str | None = None
    account: Path = SERVICE_ACCOUNT
    env: Mapping[str, str] = field(default_factory=lambda: os.environ)

    async def read(self) -> Configuration:
        """Read address, CA and credentials; raises SettingsError with what cannot be used."""
        configuration = Configuration()
        if self.kubeconfig is None:
            self._from_service_account(configuration)
        else:
            await self._from_kubeconfig(self.kubeconfig, configuration)
        return configuration

    def _from_service_account(self, configuration: Configuration) -> None:
        loader = InClusterConfigLoader(
            token_filename=str(self.account / "token"), cert_filename=str(self.account / "ca.crt"), environ=self.env
        )
        try:
            loader.load_and_set(configuration)
        except _UNREADABLE as error:
            raise SettingsError([f"service account {self.account}: {_line(error)}"]) from error

    async def _from_kubeconfig(self, path: str, configuration: Configuration) -> None:
        try:
            loader = await load_kube_config(path, self.context, configuration, persist_config=False)
        except _UNREADABLE as error:
            raise SettingsError([f"kubeconfig {path}: {_line(error)}"]) from error
        # The library only logs that a login program failed, and would go on as nobody.
        user = loader._user  # noqa: SLF001
        if user is not None and "exec" in user and not (configuration.api_key or configuration.cert_file):
            command = user["exec"].safe_get("command")
            raise SettingsError([f"kubeconfig {path}: the login program {command!r} gave no credentials"])


def find_access(
    kubeconfig: Path | None,
    context: str | None,
    *,
    env: Mapping[str, str] | None = None,
    account: Path = SERVICE_ACCOUNT,
    home: Path | None = None,
) -> Access:
    """Say where credentials come from: the file given, a Pod's service account, KUBECONFIG, or ~/.kube/config.

    Raises SettingsError with every place that was looked at.
    """
    env = os.environ if env is None else env
    if kubeconfig is not None:
        return _existing(str(kubeconfig), context, f"kubeconfig: there is no file {kubeconfig}")
    inside = env.get("KUBERNETES_SERVICE_HOST")
    if inside and (account / "token").exists():
        return Access(None, context, account, env)
    if paths := env.get("KUBECONFIG"):
        return _existing(paths, context, f"KUBECONFIG: there is no file {paths}")
    usual = (home or Path.home()) / ".kube" / "config"
    return _existing(
        str(usual),
        context,
        f"no Kubernetes cluster: there is neither a service account in {account} nor KUBECONFIG nor {usual}; "
        "set kubeconfig",
    )


def _existing(paths: str, context: str | None, problem: str) -> Access:
    if not any(Path(path).expanduser().is_file() for path in paths.split(os.pathsep) if path):
        raise SettingsError([problem])
    return Access(paths, context)


def cluster_domain(resolv_conf: str) -> str | None:
    """Give the cluster's domain from a Pod's resolv.conf: what follows `svc.` in its search list."""
    for line in reversed(_SEARCH.findall(resolv_conf)):  # the last one counts
        found = [name.rstrip(".").partition("svc.")[2] for name in line.split() if name.startswith("svc.")]
        return found[0] or None if found else None
    return None


def has_ipv6(hosts: str, hostname: str) -> bool:
    """Say whether a Pod has an IPv6 address, by its /etc/hosts: the kubelet lists all of its addresses by its name."""
    entries = (line.partition("#")[0].split() for line in hosts.splitlines())
    return any(":" in address for address, *names in filter(None, entries) if hostname in names)


def own_namespace(account: Path = SERVICE_ACCOUNT) -> str | None:
    """Give the namespace that this Pod runs in, or None outside of one."""
    try:
        return (account / "namespace").read_text(encoding="utf-8").strip() or None
    except (OSError, UnicodeDecodeError):
        return None


def _line(error: Exception) -> str:
    text = " ".join(str(error).split())
    # What the library trips over says little by itself, such as "argument of type 'NoneType' is not iterable".
    return f"it is not complete ({text})" if isinstance(error, KeyError | TypeError | AttributeError) else text
