"""Logs what people have to mend: each thing once, however often it is met."""

from __future__ import annotations

import traceback
from collections.abc import Hashable
from typing import Final

import structlog

from webhook.kube.errors import ClusterError
from webhook.reconcile.keep import LivePod, PodKey
from webhook.reconcile.plan import Left, LeftAlone

_MOST: Final = 4096
"""Things remembered; after so many all are told anew rather than kept for ever."""
_SILENT: Final = (LeftAlone.ENDING, LeftAlone.BUG)


class Teller:
    """Writes warnings, none of them twice."""

    def __init__(self) -> None:
        self._told: set[Hashable] = set()
        self._log = structlog.get_logger().bind()

    def left_alone(self, live: LivePod, left: Left) -> None:
        """Tell that a Pod stays as it is, once for a Pod and reason."""
        if left.reason not in _SILENT and self._first(live.uid, left.reason, left.detail):
            self._log.warning("pod left alone", pod=str(live.key), reason=left.reason.value, detail=left.detail)

    def crashed(self, live: LivePod, error: Exception) -> None:
        """Tell of a mistake of ours with a Pod; without the error's text, which may quote the Pod."""
        if self._first(live.uid, type(error).__name__):
            frames = "".join(traceback.format_tb(error.__traceback__))
            self._log.error("pod left alone", pod=str(live.key), exception=f"{frames}{type(error).__name__}")

    def failed(self, key: PodKey, error: ClusterError) -> None:
        """Tell why a Pod cannot be patched, once for a namespace and sentence."""
        sentence = str(error).replace(key.name, "*")
        if self._first(key.namespace, sentence):
            self._log.warning("pod not patched", pod=str(key), error=str(error))

    def undone(self, live: LivePod) -> None:
        """Tell that somebody takes back what we write."""
        if self._first(live.uid, "undone"):
            self._log.warning(
                "somebody undoes our annotations; they are written again ever more rarely", pod=str(live.key)
            )

    def change_done(self, seconds: float, pods: int) -> None:
        """Tell that a change has come to its last Pod."""
        self._log.info("pods patched after a change of Services", pods=pods, seconds=round(seconds, 3))

    def _first(self, *what: Hashable) -> bool:
        if what in self._told:
            return False
        if len(self._told) >= _MOST:
            self._told.clear()
        self._told.add(what)
        return True
