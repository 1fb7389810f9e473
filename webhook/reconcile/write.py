"""One patch of one Pod, and what its failure means."""

from __future__ import annotations

import asyncio
from typing import Any, Final, Protocol

from webhook.kube.api import Answer
from webhook.kube.errors import ClusterError, Conflict, Forbidden, Invalid, NotFound, Unreachable
from webhook.kube.resources import PODS
from webhook.reconcile.keep import LivePod, keep_pod
from webhook.reconcile.metrics import Result
from webhook.reconcile.plan import Rewrite, patch_body

FIELD_MANAGER: Final = "evenkeel-reconciler"
"""Who has written it, as managedFields tell."""
_EVERYBODY_S: Final = (None, 429, 502, 503, 504)
"""Statuses that say something of the API server, not of one Pod: no answer, or a wish for a pause."""


class PatchApi(Protocol):
    """As much of webhook.kube.api.Api as this needs."""

    async def patch(self, path: str, body: Any, **params: Any) -> Answer:
        """Patch an object."""
        ...


async def write(api: PatchApi, live: LivePod, rewrite: Rewrite, seconds: float) -> LivePod:
    """Patch a Pod and give it as it then is; raises a ClusterError, also where there is no answer in time."""
    path = PODS.path(live.key.namespace, live.key.name)
    if seconds <= 0.0:  # a request may be on its way before a time-out of nothing ends it
        raise Unreachable("PATCH", path, "not sent: this replica writes no more")
    try:
        async with asyncio.timeout(seconds):
            answer = await api.patch(path, patch_body(live, rewrite), fieldManager=FIELD_MANAGER)
    except TimeoutError as error:
        raise Unreachable("PATCH", path, f"no answer within {seconds:.1f} s") from error
    return keep_pod(answer.object)


def result_of(error: ClusterError) -> Result:
    """Say what a failure means for the Pod."""
    if isinstance(error, NotFound):
        return Result.GONE
    # A uid that is another Pod's is a conflict in our words, whatever the API server calls it.
    if isinstance(error, Conflict) or (isinstance(error, Invalid) and "metadata.uid" in error.message):
        return Result.CONFLICT
    if isinstance(error, Forbidden):
        return Result.FORBIDDEN
    return Result.UNREACHABLE if isinstance(error, Unreachable) else Result.REFUSED


def concerns_all(error: ClusterError) -> bool:
    """Say whether a failure would meet every other patch now too.

    A plain 500 does not: it is also what somebody else's broken webhook makes of a patch.
    """
    return isinstance(error, Unreachable) and error.status in _EVERYBODY_S
