"""An API server for each test, and a door to it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.kube.apiserver import ApiServer
from tests.kube.discovered import Discover, discoverer
from tests.kube.followed import Follow, follower
from webhook.kube.api import Api


@pytest.fixture
async def server() -> AsyncIterator[ApiServer]:
    """Start an API server."""
    one = await ApiServer().start()
    yield one
    await one.stop()


@pytest.fixture
async def api(server: ApiServer, tmp_path: Path) -> AsyncIterator[Api]:
    """Open a door to it."""
    async with Api.connect(server.kubeconfig(tmp_path)) as one:
        yield one


@pytest.fixture
def follow(server: ApiServer, api: Api) -> Follow:
    """Give a way to follow the server's namespaces; two are there."""
    return follower(server, api)


@pytest.fixture
def discover(server: ApiServer, api: Api) -> Discover:
    """Give a way to discover what is in the server."""
    return discoverer(server, api)
