"""How the webhook of a cluster injects: with its own settings, so that no operator's wish makes a Pod out of date."""

from __future__ import annotations

import dataclasses
import os
import re
import tempfile
from collections import Counter
from collections.abc import Iterable
from pathlib import Path, PurePosixPath
from typing import Final

from webhook.check.container import Started, config_maps_of, started
from webhook.check.facts import Facts
from webhook.check.model import Unknown
from webhook.check.once import Once
from webhook.check.place import WEBHOOK
from webhook.core import names
from webhook.core.errors import SettingsError
from webhook.core.inject import Injector
from webhook.core.model import JsonObject, SidecarSettings
from webhook.core.templates import Templates
from webhook.kube import resources
from webhook.settings import load_settings
from webhook.templates import dump, load_templates

_DOMAIN: Final = re.compile(r"\.svc\.([a-z0-9-]+(?:\.[a-z0-9-]+)*)\.[\"'\s]")
_IPV6: Final = "ipv4_compat: true"
_SIDECAR: Final = "EVENKEEL_SIDECAR_"

Decided = tuple[SidecarSettings, Templates]
"""All that an operator decides for every sidecar."""


def read_given(settings: Path | None, templates: Path | None) -> Decided | None:
    """Read what files say instead of the cluster, where any are given; raises SettingsError with every problem."""
    if settings is None and templates is None:
        return None
    loaded = load_settings(settings, os.environ, {"templates": templates})
    return loaded.sidecar, load_templates(loaded.templates)


class Installed:
    """The settings and templates in use in a cluster, or those that somebody says are."""

    def __init__(self, facts: Facts, given: Decided | None = None) -> None:
        self._facts = facts
        self._given = given
        self._once = Once()

    async def sidecar(self) -> SidecarSettings:
        """Give what the operator decided for every sidecar; raises Unknown where that cannot be read."""
        return (await self._all())[0]

    async def injector(self) -> Injector:
        """Give an injector that makes what the cluster's webhook makes; raises Unknown where it cannot."""

        async def ask() -> Injector:
            return Injector(*await self._all(), dump)

        return await self._once.get("injector", ask)

    async def _all(self) -> Decided:
        return await self._once.get("all", self._read)

    async def _read(self) -> Decided:
        sidecar, loaded = self._given or await self._from_cluster()
        if sidecar.cluster_domain == SidecarSettings().cluster_domain:
            # The webhook finds it where it runs; what it once wrote says what it found.
            domain = cluster_domain(await self._facts.injected()) or sidecar.cluster_domain
            sidecar = dataclasses.replace(sidecar, cluster_domain=domain)
        if not sidecar.ipv6 and ipv6(await self._facts.injected()):
            sidecar = dataclasses.replace(sidecar, ipv6=True)
        return sidecar, loaded

    async def _from_cluster(self) -> Decided:
        deployment = await self._facts.own(resources.DEPLOYMENTS, WEBHOOK)
        if deployment is None:
            raise Unknown(f"Deployment {WEBHOOK} does not exist, and its settings with it")
        template = deployment["spec"]["template"]
        maps = {}
        for name in config_maps_of(template):
            found = await self._facts.own(resources.CONFIG_MAPS, name)
            maps[name] = (found or {}).get("data") or {}
        return read_settings(started(template, maps, self._facts.place.namespace))


def read_settings(program: Started) -> Decided:
    """Read the settings and templates of a program by how it is started; raises Unknown with the reason."""
    if hidden := [name for name in program.unread if name.startswith(_SIDECAR)]:
        raise Unknown(f"settings of Deployment {WEBHOOK} that cannot be read here: {', '.join(hidden)}")
    env = {name: value for name, value in program.env.items() if name.startswith("EVENKEEL_")}
    with tempfile.TemporaryDirectory() as folder:
        try:
            settings = load_settings(_file(program, Path(folder)), env, {})
            wanted = program.option("--templates") or settings.templates
            return settings.sidecar, load_templates(_templates(program, wanted, Path(folder)))
        except SettingsError as error:
            told = "; ".join(error.problems).replace(folder, "")
            raise Unknown(f"settings of Deployment {WEBHOOK} that this version cannot read: {told}") from error


def _file(program: Started, folder: Path) -> Path | None:
    path = program.option("--settings")
    if path is None:
        return None
    if path not in program.files:
        raise Unknown(f"--settings {path} of Deployment {WEBHOOK} comes from no ConfigMap")
    (folder / "settings.yaml").write_text(program.files[path], encoding="utf-8")
    return folder / "settings.yaml"


def _templates(program: Started, wanted: str | Path | None, folder: Path) -> Path | None:
    if wanted is None:
        return None
    inside = {path: text for path, text in program.files.items() if str(PurePosixPath(path).parent) == str(wanted)}
    if not inside:
        raise Unknown(f"templates {wanted} of Deployment {WEBHOOK} come from no ConfigMap")
    own = folder / "templates"
    own.mkdir()
    for path, text in inside.items():
        (own / PurePosixPath(path).name).write_text(text, encoding="utf-8")
    return own


def cluster_domain(pods: Iterable[JsonObject]) -> str | None:
    """Give the domain that most Pods' configurations name; None where none names any."""
    found: Counter[str] = Counter()
    for pod in pods:
        text = (pod["metadata"].get("annotations") or {}).get(names.CLUSTERS) or ""
        if match := _DOMAIN.search(text):
            found[match[1]] += 1
    return found.most_common(1)[0][0] if found else None


def ipv6(pods: Iterable[JsonObject]) -> bool:
    """Say whether most Pods' bootstraps listen on IPv6 too."""
    found = [_IPV6 in (pod["metadata"].get("annotations") or {}).get(names.BOOTSTRAP, "") for pod in pods]
    return sum(found) * 2 > len(found)
