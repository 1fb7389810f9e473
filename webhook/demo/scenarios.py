"""The phases of the demo, one scenario each; what happens between them is counted, never dropped."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from ipaddress import ip_address
from pathlib import Path
from typing import Any, Final

import yaml

from webhook.data import data_folder
from webhook.demo.admission import DemoError
from webhook.demo.calls import Callers, Tally
from webhook.demo.cluster import Cluster, Deployment

_RPCS: Final = 1000
_RATE: Final = 50
_FOLLOWED_SECONDS: Final = 20.0
_MIN_READY_SECONDS: Final = 1.5
_DIRECT: Final = "hoge-app-service:50051"
"""What the gateways would dial without a sidecar: the Service's name and the app's own port."""


@dataclass(frozen=True, slots=True)
class Scenario:
    """What one phase showed."""

    name: str
    title: str
    injected: bool
    steady: bool
    rpcs: int
    failed: int
    backends: Mapping[str, int]
    errors: Mapping[str, int] = field(default_factory=dict)
    seconds_to_new_backend: float | None = None

    def document(self) -> dict[str, Any]:
        """Give it as JSON; every backend that was there is named, also with 0."""
        made: dict[str, Any] = {
            "name": self.name,
            "injected": self.injected,
            "steady": self.steady,
            "rpcs": self.rpcs,
            "failed": self.failed,
            "backends": dict(self.backends),
        }
        if self.errors:
            made["errors"] = dict(self.errors)
        if self.seconds_to_new_backend is not None:
            made["seconds_to_new_backend"] = round(self.seconds_to_new_backend, 2)
        return made


def manifests(example: str) -> list[Mapping[str, Any]]:
    """Read the manifests of an example as they are, but for kustomize's own file."""
    folder = data_folder("examples") / example
    files = sorted(path for path in folder.glob("*.yaml") if path.name != "kustomization.yaml")
    return [document for file in files for document in _documents(file)]


def _documents(file: Path) -> Iterable[Mapping[str, Any]]:
    return [document for document in yaml.safe_load_all(file.read_text(encoding="utf-8")) if document]


class Scenarios:
    """Runs the phases in their order."""

    def __init__(self, cluster: Cluster, step: Callable[[str], None], show: Callable[[Scenario], None]) -> None:
        self._cluster = cluster
        self._step = step
        self._show = show

    async def run(self) -> None:
        """Run all."""
        await self.without_sidecars()
        await self.with_sidecars()
        await self.scaling()
        await self.rolling_replacement()
        await self._cluster.delete("hoge")
        await self.service_after_client()
        await self._cluster.delete("ticketing")
        await self.two_backends()
        await self._cluster.delete("frontend")

    async def without_sidecars(self) -> None:
        """Four callers, ten servers, no label: each connection stays where it is."""
        self._step("hoge without the label: 4 hoge-gateway and 10 hoge-app Pods, no sidecars")
        bare = [_without_label(document) for document in manifests("hoge")]
        await self._cluster.apply([_scaled(document, "hoge-app", 10) for document in bare], namespace="hoge")
        tally = await self._hoge_callers().run(rpcs=_RPCS, target=_DIRECT)
        self._steady("without-sidecar", "4 callers, 10 servers, no sidecar", tally, self._hoge_app(), injected=False)
        await self._cluster.delete("hoge")

    async def with_sidecars(self) -> None:
        """Call the same with the label: even."""
        self._step("hoge with the label: 4 hoge-gateway and 5 hoge-app Pods, each admitted with a sidecar")
        await self._apply_servers_first("hoge", "hoge-gateway")
        await self._run_hoge("with-sidecar-5", "4 callers, 5 servers, sidecars")

    async def scaling(self) -> None:
        """5 -> 10 -> 5 under load."""
        app = self._hoge_app()
        self._step("scaling hoge-app from 5 to 10 under load")
        self._show(await self._under_load("scale-5-to-10", lambda: self._cluster.scale(app, 10)))
        await self._run_hoge("with-sidecar-10", "4 callers, 10 servers, sidecars")
        self._step("scaling hoge-app from 10 to 5 under load")
        self._show(await self._under_load("scale-10-to-5", lambda: self._cluster.scale(app, 5)))
        await self._run_hoge("with-sidecar-5-again", "4 callers, back to 5 servers, sidecars")

    async def rolling_replacement(self) -> None:
        """Every server is replaced under load."""
        self._step("replacing all 5 hoge-app Pods one at a time under load")
        app, cluster = self._hoge_app(), self._cluster
        # As `minReadySeconds` of a Deployment: on a fast machine all would be gone before anybody heard of it.
        rollout = partial(cluster.replace_one_at_a_time, app, min_ready_seconds=_MIN_READY_SECONDS)
        self._show(await self._under_load("rolling-replacement", rollout))

    async def service_after_client(self) -> None:
        """Start the client first; its Service and servers come later."""
        documents = manifests("ticketing")
        first = [document for document in documents if document["metadata"]["name"] in ("ticketing", "app-client")]
        self._step("ticketing: app-client is there before its Service")
        await self._cluster.apply(first, namespace="ticketing")
        client = self._cluster.deployments["ticketing", "app-client"]
        callers = Callers(client.pods)
        async with callers.load("late", rate=_RATE) as tally:
            await self._answers(callers, "late", failing=True)
            self._step("ticketing: now app-server and its Service; the client's Pod is rendered anew")
            begun = time.time()
            await self._cluster.apply([each for each in documents if each not in first], namespace="ticketing")
            await self._cluster.render_anew(client)
            await self._answers(callers, "late", failing=False)
        servers = self._cluster.deployments["ticketing", "app-server"]
        title = "the Service comes after its client (before: UNAVAILABLE, and why)"
        seconds = min(tally.first_seen.values()) - max(begun, *servers.ready_at.values())
        self._show(_scenario("service-after-client", title, tally, servers.addresses, seconds=max(seconds, 0.0)))
        after = await callers.run(rpcs=_RPCS)
        self._steady("ticketing", "1 caller, 2 servers behind a port without a name", after, servers)

    async def two_backends(self) -> None:
        """One address, two Services, told apart by the call's authority."""
        self._step("frontend: one caller, two Services behind localhost:9001")
        await self._apply_servers_first("frontend", "fe-deployment")
        callers = Callers(self._cluster.deployments["frontend", "fe-deployment"].pods)
        for name in ("be1", "be2"):
            servers = self._cluster.deployments["frontend", f"{name}-deployment"]
            tally = await callers.run(rpcs=_RPCS, authority=f"{name}-srv:50051")
            self._steady(f"frontend-{name}", f"authority {name}-srv:50051", tally, servers)

    async def _apply_servers_first(self, example: str, caller: str) -> None:
        """Apply an example so that nobody calls before there is somebody to answer."""
        documents = manifests(example)
        callers = [document for document in documents if document["metadata"]["name"] == caller]
        await self._cluster.apply([each for each in documents if each not in callers], namespace=example)
        await self._cluster.apply(callers, namespace=example)

    async def _run_hoge(self, name: str, title: str) -> None:
        tally = await self._hoge_callers().run(rpcs=_RPCS)
        self._steady(name, title, tally, self._hoge_app())

    async def _under_load(self, name: str, change: Callable[[], Any]) -> Scenario:
        app, callers = self._hoge_app(), self._hoge_callers()
        before = set(app.addresses)
        async with callers.load(name, rate=_RATE) as tally:
            await change()
            await self._followed(callers, name, app)
        new = set(app.addresses) - before
        seconds = max(tally.first_seen[address] - app.ready_at[address] for address in new) if new else None
        title = f"{name.replace('-', ' ')}, under load"
        everybody = before | set(app.addresses) | set(tally.backends)
        return _scenario(name, title, tally, everybody, seconds=seconds)

    async def _followed(self, callers: Callers, name: str, app: Deployment) -> None:
        """Wait until every live server was heard of, and none but them for a while."""
        end = time.monotonic() + _FOLLOWED_SECONDS
        while not set(app.addresses) <= set((await callers.so_far(name)).backends):
            if time.monotonic() > end:
                raise DemoError(f"{name}: not every server was called after {_FOLLOWED_SECONDS:.0f} s")
            await asyncio.sleep(0.2)
        seen = (await callers.so_far(name)).backends
        while time.monotonic() < end:
            await asyncio.sleep(1.0)
            now = (await callers.so_far(name)).backends
            if {address for address in now if now[address] > seen[address]} <= set(app.addresses):
                return
            seen = now

    async def _answers(self, callers: Callers, name: str, *, failing: bool) -> None:
        """Wait until calls fail, or are answered."""
        end = time.monotonic() + _FOLLOWED_SECONDS
        while time.monotonic() < end:
            tally = await callers.so_far(name)
            if tally.failed if failing else tally.backends:
                return
            await asyncio.sleep(0.1)
        raise DemoError(f"{name}: no call {'failed' if failing else 'was answered'} in {_FOLLOWED_SECONDS:.0f} s")

    def _steady(self, name: str, title: str, tally: Tally, servers: Deployment, *, injected: bool = True) -> None:
        self._show(_scenario(name, title, tally, servers.addresses, injected=injected, steady=True))

    def _hoge_app(self) -> Deployment:
        return self._cluster.deployments["hoge", "hoge-app"]

    def _hoge_callers(self) -> Callers:
        return Callers(self._cluster.deployments["hoge", "hoge-gateway"].pods)


def _scenario(
    name: str,
    title: str,
    tally: Tally,
    servers: Iterable[str],
    *,
    injected: bool = True,
    steady: bool = False,
    seconds: float | None = None,
) -> Scenario:
    backends = {address: tally.backends.get(address, 0) for address in sorted(servers, key=ip_address)}
    return Scenario(name, title, injected, steady, tally.rpcs, tally.failed, backends, dict(tally.errors), seconds)


def _without_label(document: Mapping[str, Any]) -> Mapping[str, Any]:
    if document["kind"] != "Namespace":
        return document
    return {**document, "metadata": {"name": document["metadata"]["name"]}}


def _scaled(document: Mapping[str, Any], name: str, replicas: int) -> Mapping[str, Any]:
    if (document["kind"], document["metadata"]["name"]) != ("Deployment", name):
        return document
    return {**document, "spec": {**document["spec"], "replicas": replicas}}
