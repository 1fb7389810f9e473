"""An installation as the README has it, from the first command to the last."""

from __future__ import annotations

import pytest

from tests.cluster.kit.install import injected
from webhook.core import names

pytestmark = [pytest.mark.cluster, pytest.mark.asyncio(loop_scope="session")]


async def test_pods_of_a_labelled_namespace_are_injected(world, evenkeel) -> None:
    """And carry the label by which they are found."""
    await world.namespace("install-labelled", {names.INJECT: names.ENABLED})

    created = await evenkeel.dry_run("install-labelled")

    assert injected(created)
    assert created["metadata"]["labels"][names.INJECTED] == names.INJECTED_VALUE
