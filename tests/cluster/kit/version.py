"""Another version of Evenkeel beside this one: the same code that gives itself another number."""

from __future__ import annotations

import copy
import shutil
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Final

from tests.cluster.kit.install import ROOT, XDS
from tests.cluster.kit.rest import Json
from tests.cluster.kit.world import IMAGE, World
from webhook import __version__
from webhook.core.model import SidecarSettings

_INSIDE: Final = "/opt/evenkeel"
"""Where its code lies in the container; found there before this checkout."""
_ENVOY: Final = SidecarSettings().image


class OtherVersion:
    """A version that the node can run, with an Envoy of its own.

    It comes from before `evenkeel xds`: it installs no such thing, and makes certificates without that name.
    """

    def __init__(self, world: World, folder: Path, version: str, envoy: str) -> None:
        self.version = version
        self.envoy = envoy
        self._image = f"{IMAGE.rpartition(':')[0]}:{version}"
        for part in ("webhook", "sidecar_templates"):
            shutil.copytree(ROOT / part, folder / part)
        _replace(folder / "webhook" / "__init__.py", f'"{__version__}"', f'"{version}"')
        _replace(folder / "webhook" / "core" / "model.py", _ENVOY, envoy)
        _replace(
            folder / "webhook" / "compose" / "certificate.py",
            "(settings.service, sidecar.xds_service)",
            "(settings.service,)",
        )
        ours = world.images[IMAGE]
        files = {**ours.files, _INSIDE: folder}
        world.images[self._image] = replace(ours, files=files, env={**ours.env, "PYTHONPATH": _INSIDE})
        world.images[envoy] = world.images[_ENVOY]

    def objects(self, shipped: Iterable[Json]) -> list[Json]:
        """Give an installation's objects as that version ships them."""
        found = [copy.deepcopy(one) for one in shipped if one["metadata"]["name"] != XDS]
        for one in found:
            if one["kind"] == "Deployment":
                for container in one["spec"]["template"]["spec"]["containers"]:
                    container["image"] = self._image
        return found


def _replace(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    if old not in text:
        raise ValueError(f"{path} does not hold {old}")
    path.write_text(text.replace(old, new))
