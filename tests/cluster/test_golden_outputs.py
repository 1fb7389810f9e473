"""What the injector makes of every golden case is a Pod that a real API server accepts."""

from __future__ import annotations

import asyncio
import copy
from typing import Any

import pytest

from tests.cluster.kit.rest import RestError
from tests.core.cases import Case, cases, run

pytestmark = [pytest.mark.cluster, pytest.mark.asyncio(loop_scope="session")]

BAD_AS_WRITTEN = {
    "our-container-without-its-volume-is-rendered-again",
    "slash-and-tilde-in-a-key-are-kept",
    "volumes-and-odd-annotation-keys-are-kept",
}
"""What no API server takes without us either: a mount of no volume, keys that are no annotation keys."""
_PODS = "/api/v1/namespaces/golden/pods"


def _named(document: Any, case: Case) -> Any:
    """Give a Pod as somebody would post it: every case in one namespace, under its own name."""
    pod = copy.deepcopy(document)
    metadata = {**(pod.get("metadata") or {}), "name": case.name[:253], "namespace": "golden"}
    metadata.pop("generateName", None)
    return {**pod, "apiVersion": "v1", "kind": "Pod", "metadata": metadata}


async def _refusal(world, pod: Any) -> str | None:
    try:
        await world.rest.post(_PODS, pod, dryRun="All", fieldValidation="Strict")
    except RestError as error:
        return str(error)
    return None


async def test_every_golden_output_is_created_by_dry_run(world) -> None:
    """A Pod that was good stays good with the sidecar in, down to unknown fields; one that was bad is no proof."""
    await world.namespace("golden")
    injected = [case for case in cases() if (outcome := run(case).outcome) is not None and outcome.injected]
    assert len(injected) >= 150

    befores = await asyncio.gather(*(_refusal(world, _named(run(case).original, case)) for case in injected))
    afters = await asyncio.gather(*(_refusal(world, _named(run(case).patched, case)) for case in injected))

    spoilt = {
        case.name: after
        for case, before, after in zip(injected, befores, afters, strict=True)
        if before is None and after is not None
    }
    refused = {case.name for case, before in zip(injected, befores, strict=True) if before is not None}
    accepted = befores.count(None)
    print(f"{len(injected)} injected Pods: {accepted} accepted as written, and all of those with the sidecar in")
    assert spoilt == {}
    assert refused == BAD_AS_WRITTEN
