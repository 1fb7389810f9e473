"""The installation without anything that runs: its policies speak all the same, from inside the API server."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

import jsonpatch

from tests.builders import injector
from tests.cluster.kit.install import installed, pod, render
from tests.cluster.kit.obtain import obtain
from tests.cluster.kit.rest import Json
from tests.cluster.kit.world import World
from webhook.core import names
from webhook.core.catalog import build_catalog
from webhook.core.model import Mode, SidecarSettings
from webhook.core.pod import read_pod
from webhook.core.proxyless import admit_proxyless

_RUNNING: Final = ("Deployment", "MutatingWebhookConfiguration", "ValidatingWebhookConfiguration")


@asynccontextmanager
async def policies_alone(world: World) -> AsyncIterator[None]:
    """Have everything of the installation for a while that needs no Pod of ours."""
    everything = render(obtain("kustomize")["kustomize"], "self-managed")
    async with installed(world, [one for one in everything if one["kind"] not in _RUNNING], wait=False):
        yield


def injected_pod(**metadata: Any) -> Json:
    """Make a Pod as the injector leaves it."""
    document = pod(**metadata)
    outcome = injector().admit(read_pod(document, "default"), build_catalog([]), None)
    found: Json = jsonpatch.apply_patch(document, list(outcome.operations))
    return found


def proxyless_pod(**metadata: Any) -> Json:
    """Make a Pod whose gRPC asks the control plane itself, as the injector leaves it."""
    document = pod(**metadata, annotations={names.MODE: Mode.PROXYLESS.value})
    outcome = admit_proxyless(read_pod(document, "default"), SidecarSettings(), "some authorities")
    found: Json = jsonpatch.apply_patch(document, list(outcome.operations))
    return found
