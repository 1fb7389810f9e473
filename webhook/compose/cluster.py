"""What a process finds out about its cluster, and what it follows there."""

from __future__ import annotations

import asyncio
import re
import socket
from pathlib import Path
from typing import Any, Final

import structlog

from webhook.kube.api import Api
from webhook.kube.config import cluster_domain, has_ipv6, own_namespace
from webhook.kube.errors import ClusterError

_ETC: Final = Path("/etc")
_OLDEST: Final = (1, 29)
"""Before it an init container that is to run for ever keeps its Pod from ever starting."""
_RETRY_SECONDS: Final = 2.0


def found_out(etc: Path = _ETC) -> dict[str, Any]:
    """Give the settings that a Pod's own files tell; outside of one, none.

    They are its namespace, the cluster's domain, and whether Pods have IPv6 addresses: a sidecar that listens on IPv4
    alone would never be found ready where they have no others.
    """
    namespace = own_namespace()
    if namespace is None:
        return {}
    found: dict[str, Any] = {"sidecar.own_namespace": namespace}
    if domain := cluster_domain(_text(etc / "resolv.conf")):
        found["sidecar.cluster_domain"] = domain
    if has_ipv6(_text(etc / "hosts"), socket.gethostname()):
        found["sidecar.ipv6"] = True
    return found


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return ""


class KubernetesVersion:
    """Whether the cluster can run native sidecars at all; asked for until it is known, or told by the operator."""

    def __init__(self, api: Api, told: str) -> None:
        self._api = api
        self._known: tuple[int, int] | None = _parsed(told)
        self._asked = self._known is not None

    def missing(self) -> str | None:
        """Say why no Pod may get a sidecar here, or None."""
        if not self._asked:
            return "the version of Kubernetes is not known yet"
        if self._known is not None and self._known < _OLDEST:
            major, minor = self._known
            return f"Kubernetes {major}.{minor} has no native sidecars: injected Pods would never start; 1.30 is needed"
        return None

    async def run(self) -> None:
        """Ask until there is an answer."""
        log = structlog.get_logger()
        while not self._asked:
            try:
                version = await self._api.version()
            except ClusterError as error:
                # Some clusters let nobody ask. The catalog's list says soon enough whether anything else is wrong.
                self._asked = error.status is not None
                log.info("the version of Kubernetes could not be asked for", error=str(error))
                await asyncio.sleep(_RETRY_SECONDS)
            else:
                self._known, self._asked = (version.major, version.minor), True
                log.info("Kubernetes", version=version.git, problem=self.missing())


def _parsed(version: str) -> tuple[int, int] | None:
    found = re.match(r"v?(\d+)\.(\d+)", version)
    return (int(found[1]), int(found[2])) if found else None
