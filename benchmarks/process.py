"""Our long-running commands as processes of their own, followed by their health ports."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import ssl
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import httpx
from caller import Target
from crowd import namespace
from machine import Cores, pinned
from reviews import usual_pod
from subjects import requests

from webhook.demo.certificate import write_certificate

_LIMIT: Final = 120.0
_ENVIRONMENT: Final = {"EVENKEEL_SHUTDOWN_DELAY_SECONDS": "0", "EVENKEEL_HOST": "127.0.0.1"}


@dataclass(slots=True)
class Running:
    """A process of ours; ended when its block is left."""

    process: subprocess.Popen[bytes]
    log: Path
    begun: float
    ca: Path | None = None
    namespace: str = namespace(1)
    """The one that the requests are about."""

    @property
    def pid(self) -> int:
        """Give the process."""
        return self.process.pid

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(timeout=20)
        self.process.kill()
        self.process.wait()

    def port(self, server: str) -> int | None:
        """Give the port that the log says a server listens on, or None."""
        for line in self.log.read_text().splitlines():
            with contextlib.suppress(json.JSONDecodeError):
                said = json.loads(line)
                if said.get("event") == "listening" and said.get("server") == server:
                    return int(said["port"])
        return None

    async def ready(self) -> float:
        """Wait until it says that it is ready; give the seconds since it was started."""
        async with asyncio.timeout(_LIMIT), httpx.AsyncClient(trust_env=False) as client:
            while True:
                if self.process.poll() is not None:
                    raise RuntimeError(f"it ended: {self.log.read_text()[-3000:]}")
                port = self.port("health")
                if port and (await client.get(f"http://127.0.0.1:{port}/readyz")).status_code == 200:
                    return time.monotonic() - self.begun
                await asyncio.sleep(0.02)

    async def metrics(self) -> str:
        """Give its metrics."""
        async with httpx.AsyncClient(trust_env=False) as client:
            return (await client.get(f"http://127.0.0.1:{self.port('health')}/metrics")).text

    def target(self) -> Target:
        """Give where to send requests, and some for the usual Pod in a namespace of the crowd."""
        port = self.port("admission")
        assert port is not None
        return Target(port, ssl.create_default_context(cafile=str(self.ca)), requests(usual_pod(self.namespace)))


def webhook(folder: Path, kubeconfig: Path, cores: Cores) -> Running:
    """Start `serve` against a cluster."""
    files = write_certificate(folder, "127.0.0.1")
    arguments = ["serve", f"--tls-cert={files.cert}", f"--tls-key={files.key}", "--port=0", "--health-port=0"]
    return _started(arguments, folder / "webhook.log", kubeconfig, cores, {}, files.ca)


def reconciler(folder: Path, kubeconfig: Path, cores: Cores, rate: int) -> Running:
    """Start `reconcile` against a cluster, with so many patches a second allowed."""
    settings = {"EVENKEEL_RECONCILE_PATCHES_PER_SECOND": str(rate), "EVENKEEL_SIDECAR_OWN_NAMESPACE": "default"}
    return _started(["reconcile", "--health-port=0"], folder / "reconciler.log", kubeconfig, cores, settings, None)


def _started(
    arguments: list[str], log: Path, kubeconfig: Path, cores: Cores, settings: dict[str, str], ca: Path | None
) -> Running:
    env = {**os.environ, **_ENVIRONMENT, "EVENKEEL_KUBECONFIG": str(kubeconfig), **settings}
    with log.open("wb") as out, pinned(cores.server):
        begun = time.monotonic()
        process = subprocess.Popen([sys.executable, "-m", "webhook", *arguments], stdout=out, stderr=out, env=env)
    return Running(process, log, begun, ca)
