"""A real Kubernetes control plane for tests: etcd, kube-apiserver and kube-controller-manager, and no node."""

from __future__ import annotations

import asyncio
import time
from base64 import b64encode
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Protocol, Self

import httpx

from tests.cluster.kit import flags
from tests.cluster.kit.flags import LOOPBACK, Ports, Shape
from tests.cluster.kit.identity import Identities, write_document
from tests.cluster.kit.process import Program
from tests.cluster.kit.rest import Rest, RestError

_START_SECONDS: Final = 120.0
"""A start takes five on a quiet machine."""
_POLL: Final = 0.05
_TOKEN_SECONDS: Final = 24 * 3600
_ADMINS: Final = "system:masters"


class NotReady(Exception):
    """Something did not come about in time; the text says what."""


class Paths(Protocol):
    """Where programs are, by name: `tests.controlplane.build.Programs`, or a dictionary."""

    def __getitem__(self, name: str, /) -> Path:
        """Give one."""


class ControlPlane:
    """Started on entering, killed with all it knew on leaving; usable from any event loop meanwhile.

    Inside a sandbox give the address of the node's bridge: the API server then listens on all addresses, so that
    Pods reach it. Clients use `kubeconfig`, made by then or by `kubeconfig_for`.
    """

    def __init__(
        self,
        folder: Path,
        programs: Paths,
        *,
        address: str = LOOPBACK,
        service_range: str = "10.96.0.0/16",
        feature_gates: Mapping[str, bool] | None = None,
        webhook_kubeconfig: Path | None = None,
        apiserver_flags: Sequence[str] = (),
    ) -> None:
        self.folder = folder
        self.kubeconfig = folder / "admin.kubeconfig"
        shape = Shape(address, service_range, feature_gates or {}, webhook_kubeconfig, apiserver_flags)
        ports = Ports.free()
        self.server = f"https://{address}:{ports.apiserver}"
        # What runs beside the API server needs no bridge to find it.
        self._local = f"https://{LOOPBACK}:{ports.apiserver}"
        self._etcd_url = f"http://{LOOPBACK}:{ports.etcd}"
        self._who = Identities.create(folder / "pki", shape.names)
        self.ca = self._who.ca
        self._more: tuple[str, ...] = ()
        self._write_files(shape)
        lines = {
            "etcd": flags.etcd(folder, ports),
            "kube-apiserver": flags.apiserver(folder, ports, shape, self._who),
            "kube-controller-manager": flags.controller_manager(folder / "manager.kubeconfig", shape, self._who),
        }
        self._programs = {
            name: Program([str(programs[name]), *line], folder / f"{name}.log") for name, line in lines.items()
        }

    def _write_files(self, shape: Shape) -> None:
        users = {"admin": (self.server, "admin", _ADMINS), "local": (self._local, "admin", _ADMINS)}
        # The group is there so that it may begin before RBAC's own roles are stored.
        users["manager"] = (self._local, "system:kube-controller-manager", _ADMINS)
        for name, user in users.items():
            write_document(self.folder / f"{name}.kubeconfig", self._who.client(*user))
        if shape.webhook_kubeconfig is not None:
            write_document(self.folder / "admission.yaml", flags.admission(shape.webhook_kubeconfig))

    async def __aenter__(self) -> Self:
        """Start everything; ready when pods can be created in the namespace `default`."""
        try:
            for name in ("etcd", "kube-apiserver"):
                self._programs[name].start()
            await self._apiserver_ready()
            self._programs["kube-controller-manager"].start()
            async with self._admin() as rest:
                await self._furnished(rest, "default")
        except BaseException:
            self._kill()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End everything."""
        self._kill()

    async def stop_apiserver(self) -> None:
        """Take the API server away, as an upgrade of it does."""
        await self._programs["kube-apiserver"].stop()

    async def start_apiserver(self) -> None:
        """Bring it back, at the same address and with all data, and wait until it is ready."""
        self._programs["kube-apiserver"].start()
        await self._apiserver_ready()
        # Its watches would come back only when they have waited, each a little longer than before.
        self._programs["kube-controller-manager"].kill()
        self._programs["kube-controller-manager"].start()

    async def restart_apiserver(self, downtime: float = 0) -> None:
        """Stop it and start it again."""
        await self.stop_apiserver()
        await asyncio.sleep(downtime)
        await self.start_apiserver()

    async def show_to_webhooks(self, kubeconfig: Path | None) -> None:
        """Restart the API server so that it shows webhooks the certificate of a kubeconfig, or none."""
        configuration = self.folder / "admission.yaml"
        if kubeconfig is None:
            await self.restart_with()
        else:
            write_document(configuration, flags.admission(kubeconfig))
            await self.restart_with(f"--admission-control-config-file={configuration}")

    async def restart_with(self, *more: str) -> None:
        """Restart the API server with further flags, in place of those of an earlier call."""
        program = self._programs["kube-apiserver"]
        program.argv = [*(word for word in program.argv if word not in self._more), *more]
        self._more = more
        await self.restart_apiserver()

    async def compact(self) -> int:
        """Let etcd forget all but the newest revision, and give that.

        The API server goes on serving old resource versions of watches from its own memory: see `forget_history`.
        """
        async with httpx.AsyncClient(base_url=self._etcd_url, trust_env=False) as client:
            answer = await client.post("/v3/kv/range", json={"key": b64encode(b"none").decode()})
            revision = int(answer.raise_for_status().json()["header"]["revision"])
            answer = await client.post("/v3/kv/compaction", json={"revision": revision, "physical": True})
            # Compacted already: nothing was written since.
            if "required revision has been compacted" not in answer.text:
                answer.raise_for_status()
        return revision

    async def forget_history(self) -> None:
        """Compact etcd and restart the API server: a watch from an older resource version is told 410."""
        await self.stop_apiserver()
        await self.compact()
        await self.start_apiserver()

    async def namespace(self, name: str, labels: Mapping[str, str] | None = None) -> None:
        """Create a namespace, and wait until pods can be created in it."""
        metadata = {"name": name, "labels": dict(labels or {})}
        async with self._admin() as rest:
            await rest.post("/api/v1/namespaces", {"apiVersion": "v1", "kind": "Namespace", "metadata": metadata})
            await self._furnished(rest, name)

    async def token_for(
        self, service_account: str, namespace: str, *, seconds: int = _TOKEN_SECONDS, audience: str | None = None
    ) -> str:
        """Give a token of a service account, as a kubelet would put it into a Pod."""
        spec: dict[str, Any] = {"expirationSeconds": seconds, "audiences": [audience] if audience else []}
        path = f"/api/v1/namespaces/{namespace}/serviceaccounts/{service_account}/token"
        request = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": spec}
        async with self._admin() as rest:
            token: str = (await rest.post(path, request))["status"]["token"]
        return token

    async def kubeconfig_for(self, service_account: str, namespace: str) -> Path:
        """Write a kubeconfig with a token of a service account."""
        token = await self.token_for(service_account, namespace)
        user = f"system:serviceaccount:{namespace}:{service_account}"
        path = self.folder / f"{namespace}.{service_account}.kubeconfig"
        return write_document(path, self._who.bearer(self.server, user, token, namespace))

    def kubeconfig_of(self, user: str, *groups: str) -> Path:
        """Write a kubeconfig of a person, who shows a certificate."""
        return write_document(self.folder / f"user.{user}.kubeconfig", self._who.client(self.server, user, *groups))

    async def metrics(self) -> str:
        """Give the API server's own metrics."""
        async with self._admin() as rest:
            text: str = await rest.get("/metrics")
        return text

    def log(self, program: str) -> str:
        """Give everything that a program has said."""
        return self._programs[program].log.read_text(errors="replace")

    def pid(self, program: str) -> int:
        """Give a program's process, or 0 while it does not run."""
        return self._programs[program].pid

    def _admin(self) -> Rest:
        return Rest(self.folder / "local.kubeconfig")

    def _kill(self) -> None:
        for program in reversed(self._programs.values()):
            program.kill()

    async def _apiserver_ready(self) -> None:
        deadline = time.monotonic() + _START_SECONDS
        async with self._admin() as rest:
            while not await _answers(rest, "/readyz"):
                self._check(deadline, "kube-apiserver is not ready", "etcd", "kube-apiserver")
                await asyncio.sleep(_POLL)

    async def _furnished(self, rest: Rest, namespace: str) -> None:
        inside = f"/api/v1/namespaces/{namespace}"
        deadline = time.monotonic() + _START_SECONDS
        for path in (f"{inside}/serviceaccounts/default", f"{inside}/configmaps/kube-root-ca.crt"):
            while not await _answers(rest, path):
                self._check(deadline, f"there is no {path}", *self._programs)
                await asyncio.sleep(_POLL)

    def _check(self, deadline: float, what: str, *names: str) -> None:
        needed = [self._programs[name] for name in names]
        for program in needed:
            program.check()
        if time.monotonic() > deadline:
            words = "\n".join(f"--- {program.name}:\n{program.last_words()}" for program in needed)
            raise NotReady(f"{what} after {_START_SECONDS:g} s\n{words}")


async def _answers(rest: Rest, path: str) -> bool:
    try:
        await rest.get(path)
    except (RestError, httpx.TransportError):
        return False
    return True
