"""What is to be done about one Pod: pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, Protocol

from webhook import __version__
from webhook.core import names
from webhook.core.catalog import Catalog
from webhook.core.decide import carries_sidecar
from webhook.core.errors import PodRejected
from webhook.core.pod import Pod
from webhook.core.proxyless import is_proxyless
from webhook.reconcile.keep import LivePod, digest

_RELEASE: Final = re.compile(r"\d+(\.\d+)*")


class Refresher(Protocol):
    """What says which annotations a Pod should carry: webhook.core.inject.Injector."""

    def refresh(self, pod: Pod, catalog: Catalog) -> Mapping[str, str] | None:
        """Give the annotations, or None where none fit; raises PodRejected."""
        ...


class LeftAlone(StrEnum):
    """Why a Pod with our label is not kept true."""

    ENDING = "ending"
    NO_SIDECAR = "no-sidecar"
    BAD_ANNOTATIONS = "bad-annotations"
    ANNOTATIONS_FULL = "annotations-full"
    NEWER_VERSION = "newer-version"
    BUG = "bug"


@dataclass(frozen=True, slots=True)
class Left:
    """The Pod stays as it is; a code for the metric, and where somebody can mend it a sentence."""

    reason: LeftAlone
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Rewrite:
    """The Pod carries something else than it should."""

    annotations: Mapping[str, str]
    """Only those that differ."""
    mark: str
    """Stands for all that the Pod should carry: equal where the same is wanted again."""


Plan = Rewrite | Left | None
"""None: the Pod is true."""


def plan(live: LivePod, catalog: Catalog, refresher: Refresher, *, spare_newer: bool = False) -> Plan:
    """Compare what a Pod carries with what it should carry.

    With `spare_newer` what a newer version of ours has written stays.
    """
    if live.ending:
        return Left(LeftAlone.ENDING)
    if live.pod is None or not (carries_sidecar(live.pod) or is_proxyless(live.pod)):
        return Left(LeftAlone.NO_SIDECAR, f"label {names.INJECTED} is there, the sidecar is not whole")
    if spare_newer and is_newer(live.writer):
        return Left(LeftAlone.NEWER_VERSION)
    try:
        wanted = refresher.refresh(live.pod, catalog)
    except PodRejected as rejection:
        return Left(LeftAlone.BAD_ANNOTATIONS, str(rejection))
    if wanted is None:
        return Left(LeftAlone.ANNOTATIONS_FULL, "the pod's annotations leave no room for the configuration")
    carried = live.carried
    marks = {key: digest(text) for key, text in wanted.items()}
    different = {key: text for key, text in wanted.items() if marks[key] != carried.get(key)}
    return Rewrite(different, "".join(marks.values())) if different else None


def patch_body(live: LivePod, rewrite: Rewrite) -> dict[str, Any]:
    """Give the merge patch; the uid keeps it from a successor of the same name."""
    return {"metadata": {"uid": live.uid, "annotations": dict(rewrite.annotations)}}


def is_newer(version: str, than: str = __version__) -> bool:
    """Say whether a version of Evenkeel is newer; of a text that is none: no."""
    return _release(version) > _release(than)


def _release(version: str) -> tuple[int, ...]:
    found = _RELEASE.match(version)
    return tuple(map(int, found.group().split("."))) if found else ()
