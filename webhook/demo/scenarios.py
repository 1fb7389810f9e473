"""The parts of the demo in their order."""

from __future__ import annotations

from collections.abc import Callable

from webhook.demo.cluster import Cluster
from webhook.demo.dialled_names import DialledNames
from webhook.demo.localhost import Localhost
from webhook.demo.proxyless import Proxyless
from webhook.demo.scenario import Scenario
from webhook.demo.stage import Stage


async def play(cluster: Cluster, step: Callable[[str], None], show: Callable[[Scenario], None]) -> None:
    """Play all parts; each cleans up after itself."""
    stage = Stage(cluster, step, show)
    for part in (Localhost, DialledNames, Proxyless):
        await part(stage).play()
