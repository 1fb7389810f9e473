"""An API server for each test, and a door to it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.kube.apiserver import ApiServer
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
