"""Apps that dial a Service by its name, as their authors wrote them: before the label, and after."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

from webhook.core.model import DiscoveryMode
from webhook.demo.scenario import Way, bare, documents, without_label
from webhook.demo.service_address import service_address
from webhook.demo.stage import RPCS, Stage

_MANIFESTS: Final = Path(__file__).with_name("names.yaml")
_NAMESPACE: Final = "names"
_CLIENTS: Final = ("app-client", "frontend")


class _Dialled(NamedTuple):
    """A name, who dials it, and how the caller's sidecar hears of its servers."""

    service: str
    port: int
    client: str
    discovery: DiscoveryMode
    about: str

    @property
    def target(self) -> str:
        return f"{self.service}:{self.port}"


_DIALLED: Final = (
    _Dialled("app-server-headless", 12345, "app-client", DiscoveryMode.DNS, "headless, its port has no name"),
    _Dialled("grpc-server", 8080, "app-client", DiscoveryMode.DNS, "headless"),
    _Dialled("productcatalogservice", 3550, "frontend", DiscoveryMode.XDS, "ClusterIP"),
)


class DialledNames:
    """Three Services, each called by its name."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage

    async def play(self) -> None:
        """Play both phases; the servers stay the same, and so does what the clients dial."""
        known = documents(_MANIFESTS)
        clients = [one for one in known if one["kind"] == "Deployment" and one["metadata"]["name"] in _CLIENTS]
        self._stage.step("names without the label: apps dial Services by their names, 4 servers each")
        await self._stage.cluster.apply([without_label(one) for one in known], namespace=_NAMESPACE)
        await self._without_sidecars(known)
        for name in _CLIENTS:
            await self._stage.cluster.scale(self._stage.deployment(_NAMESPACE, name), 0)
        self._stage.step("names with the label and evenkeel.dev/capture: the same clients, started again")
        labelled = [one for one in known if one["kind"] == "Namespace"]
        await self._stage.cluster.apply([*labelled, *clients], namespace=_NAMESPACE)
        await self._with_sidecars()
        await self._stage.cluster.delete(_NAMESPACE)

    async def _without_sidecars(self, known: list[Mapping[str, Any]]) -> None:
        last = _DIALLED[-1]
        [address] = [one["spec"]["clusterIP"] for one in known if _is_service(one, last.service)]
        pods = self._stage.deployment(_NAMESPACE, last.service).addresses
        async with service_address(address, last.port, pods):
            for dialled in _DIALLED:
                callers = self._stage.callers(_NAMESPACE, dialled.client)
                tally = await callers.run(rpcs=RPCS, target=dialled.target)
                name = f"dial-{dialled.service}-without-sidecar"
                self._show(
                    name, f"{dialled.target} ({dialled.about}), no sidecar", dialled, tally, bare(dialled.target)
                )

    async def _with_sidecars(self) -> None:
        for dialled in _DIALLED:
            callers = self._stage.callers(_NAMESPACE, dialled.client)
            servers = self._stage.deployment(_NAMESPACE, dialled.service).addresses
            await self._stage.settled(callers, servers, target=dialled.target)
            tally = await callers.run(rpcs=RPCS, target=dialled.target)
            way = Way(dialled.target, discovery=dialled.discovery)
            self._show(
                f"dial-{dialled.service}",
                f"{dialled.target} ({dialled.about}), captured, discovery {dialled.discovery}",
                dialled,
                tally,
                way,
            )

    def _show(self, name: str, title: str, dialled: _Dialled, tally: Any, way: Way) -> None:
        self._stage.steady(name, title, tally, self._stage.deployment(_NAMESPACE, dialled.service), way)


def _is_service(document: Mapping[str, Any], name: str) -> bool:
    return (document["kind"], document["metadata"]["name"]) == ("Service", name)
