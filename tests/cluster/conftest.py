"""What the tests against a real control plane share. One event loop and one cluster serve all of them."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.cluster.kit.install import Installed, installed, render
from tests.cluster.kit.obtain import obtain
from tests.cluster.kit.world import World
from webhook.node import sandbox


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def evenkeel(world) -> AsyncIterator[Installed]:
    """Install Evenkeel with self-managed certificates for a module's tests."""
    async with installed(world, render(obtain("kustomize")["kustomize"], "self-managed")) as found:
        yield found


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def world(tmp_path_factory) -> AsyncIterator[World]:
    """Start a control plane and a node that runs Pods; tests keep to namespaces of their own."""
    if not sandbox.inside():
        pytest.skip("not in a sandbox: run `make test-cluster`")
    async with World(tmp_path_factory.mktemp("world"), obtain("etcd", "kubernetes")) as found:
        yield found
