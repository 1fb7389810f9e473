"""The examples as they are, dialling localhost:9001; pods that change, found by DNS and by pushed endpoints."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, Final

from webhook.core import names
from webhook.core.model import DiscoveryMode
from webhook.demo.calls import Callers
from webhook.demo.cluster import Deployment
from webhook.demo.scenario import Way, annotated, bare, manifests, renamed, scaled, scenario, without_label
from webhook.demo.stage import RATE, RPCS, Load, Stage

_DIRECT: Final = "hoge-app-service:50051"
"""What the gateways would dial without a sidecar: the Service's name and the app's own port."""
_BESIDE: Final = 2
"""So many callers of each kind of discovery call side by side."""
_PUSHED: Final = Way(discovery=DiscoveryMode.XDS)
_FEWER: Final = 500
"""RPCs of each caller where only their evenness counts."""
_MIN_READY_SECONDS: Final = 1.5
_LATE: Final = "late"


class Localhost:
    """Three examples, played one after the other."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._cluster = stage.cluster

    async def play(self) -> None:
        """Play all."""
        await self._without_sidecars()
        await self._with_sidecars()
        await self._scaling()
        await self._rolling_replacement()
        await self._cluster.delete("hoge")
        await self._service_after_client()
        await self._cluster.delete("ticketing")
        await self._two_backends()
        await self._cluster.delete("frontend")

    async def _without_sidecars(self) -> None:
        """Four callers, ten servers, no label: each connection stays where it is."""
        self._stage.step("hoge without the label: 4 hoge-gateway and 10 hoge-app Pods, no sidecars")
        documents = [scaled(without_label(document), "hoge-app", 10) for document in manifests("hoge")]
        await self._cluster.apply(documents, namespace="hoge")
        tally = await self._gateways().run(rpcs=RPCS, target=_DIRECT)
        self._stage.steady(
            "without-sidecar", "4 callers, 10 servers, no sidecar", tally, self._hoge_app(), bare(_DIRECT)
        )
        await self._cluster.delete("hoge")

    async def _with_sidecars(self) -> None:
        """Call the same with the label: even. Beside them are callers to which endpoints are pushed."""
        self._stage.step("hoge with the label: 4 hoge-gateway and 5 hoge-app Pods, each admitted with a sidecar")
        documents = manifests("hoge")
        [gateway] = [one for one in documents if _is(one, "Deployment", "hoge-gateway")]
        await self._cluster.apply([one for one in documents if one is not gateway], namespace="hoge")
        pushed = renamed(annotated(gateway, {names.DISCOVERY: DiscoveryMode.XDS}), "hoge-gateway-xds", replicas=_BESIDE)
        await self._cluster.apply([gateway, pushed], namespace="hoge")
        await self._steady("with-sidecar-5", "4 callers, 5 servers, sidecars")

    async def _scaling(self) -> None:
        """5 -> 10 -> 5 under load."""
        app = self._hoge_app()
        self._stage.step("scaling hoge-app from 5 to 10 under load: 2 callers hear of it by DNS, 2 are told (xds)")
        await self._beside("scale-5-to-10", lambda: self._cluster.scale(app, 10))
        await self._steady("with-sidecar-10", "4 callers, 10 servers, sidecars", RPCS)
        await self._steady_pushed("with-sidecar-10-xds", "2 callers, 10 servers, endpoints pushed")
        self._stage.step("scaling hoge-app from 10 to 5 under load")
        await self._beside("scale-10-to-5", lambda: self._cluster.scale(app, 5))
        await self._steady("with-sidecar-5-again", "4 callers, back to 5 servers, sidecars")
        await self._steady_pushed("with-sidecar-5-again-xds", "2 callers, back to 5 servers, endpoints pushed")

    async def _rolling_replacement(self) -> None:
        """Every server is replaced under load."""
        self._stage.step("replacing all 5 hoge-app Pods one at a time under load")
        # As `minReadySeconds` of a Deployment: on a fast machine all would be gone before anybody heard of it.
        replace = partial(self._cluster.replace_one_at_a_time, self._hoge_app(), min_ready_seconds=_MIN_READY_SECONDS)
        await self._beside("rolling-replacement", replace)
        await self._steady("all-replaced", "4 callers, 5 servers, all replaced, sidecars")
        await self._steady_pushed("all-replaced-xds", "2 callers, 5 servers, all replaced, endpoints pushed")

    async def _service_after_client(self) -> None:
        """Start the client first; its Service and servers come later."""
        documents = manifests("ticketing")
        first = [document for document in documents if document["metadata"]["name"] in ("ticketing", "app-client")]
        self._stage.step("ticketing: app-client is there before its Service")
        await self._cluster.apply(first, namespace="ticketing")
        client = self._stage.deployment("ticketing", "app-client")
        callers = Callers(client.pods)
        async with callers.load(_LATE, rate=RATE) as tally:
            await self._stage.answers(callers, _LATE, failing=True)
            self._stage.step("ticketing: now app-server and its Service; the client's Pod is rendered anew")
            begun = time.time()
            await self._cluster.apply([each for each in documents if each not in first], namespace="ticketing")
            await self._cluster.render_anew(client)
            await self._stage.answers(callers, _LATE, failing=False)
        servers = self._stage.deployment("ticketing", "app-server")
        title = "the Service comes after its client (before: UNAVAILABLE, and why)"
        seconds = max(min(tally.first_seen.values()) - max(begun, *servers.ready_at.values()), 0.0)
        late = scenario("service-after-client", title, tally, servers.addresses, way=Way(), seconds=seconds)
        self._stage.show(late)
        after = await callers.run(rpcs=RPCS)
        self._stage.steady("ticketing", "1 caller, 2 servers behind a port without a name", after, servers)

    async def _two_backends(self) -> None:
        """One address, two Services, told apart by the call's authority."""
        self._stage.step("frontend: one caller, two Services behind localhost:9001")
        documents = manifests("frontend")
        caller = [one for one in documents if _is(one, "Deployment", "fe-deployment")]
        # First the servers, so that nobody calls before there is somebody to answer.
        await self._cluster.apply([one for one in documents if one not in caller], namespace="frontend")
        await self._cluster.apply(caller, namespace="frontend")
        callers = self._stage.callers("frontend", "fe-deployment")
        for name in ("be1", "be2"):
            servers = self._stage.deployment("frontend", f"{name}-deployment")
            tally = await callers.run(rpcs=RPCS, authority=f"{name}-srv:50051")
            self._stage.steady(f"frontend-{name}", f"authority {name}-srv:50051", tally, servers)

    async def _beside(self, name: str, change: Callable[[], Awaitable[Any]]) -> None:
        """Change servers under the load of both kinds of callers at once."""
        app, title = self._hoge_app(), f"{name.replace('-', ' ')}, under load"
        pushed = self._stage.callers("hoge", "hoge-gateway-xds")
        loads = [
            Load(name, f"{title}; DNS is asked", self._gateways(_BESIDE), app),
            Load(f"{name}-xds", f"{title}; endpoints are pushed", pushed, app, _PUSHED),
        ]
        await self._stage.under_load(loads, change)

    async def _steady(self, name: str, title: str, rpcs: int = _FEWER) -> None:
        self._stage.steady(name, title, await self._gateways().run(rpcs=rpcs), self._hoge_app())

    async def _steady_pushed(self, name: str, title: str) -> None:
        tally = await self._stage.callers("hoge", "hoge-gateway-xds").run(rpcs=_FEWER)
        self._stage.steady(name, title, tally, self._hoge_app(), _PUSHED)

    def _hoge_app(self) -> Deployment:
        return self._stage.deployment("hoge", "hoge-app")

    def _gateways(self, most: int | None = None) -> Callers:
        return self._stage.callers("hoge", "hoge-gateway", most)


def _is(document: Any, kind: str, name: str) -> bool:
    return (document["kind"], document["metadata"]["name"]) == (kind, name)
