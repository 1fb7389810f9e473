"""A webhook process of its own, and the API server's side of it: reviews sent over HTTPS, patches applied."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import signal
import ssl
import sys
import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import httpx
import jsonpatch

from webhook.core import names
from webhook.core.model import SidecarSettings
from webhook.demo.certificate import write_certificate

_ADDRESS: Final = "127.0.0.1"
_START_SECONDS: Final = 20.0
_STOP_SECONDS: Final = 10.0
_LOOK_SECONDS: Final = "0.2"
"""How often it looks at the files with Services; usually a second is soon enough."""


class DemoError(RuntimeError):
    """A part of the run did not do what the next needs; the message says which."""


@dataclass(frozen=True, slots=True)
class Admitted:
    """A Pod as the API server would keep it, and what the webhook said."""

    pod: dict[str, Any]
    warnings: tuple[str, ...]
    injected: bool


class Webhook:
    """`evenkeel serve` as a child process, with Services from files; the calls an API server would make."""

    def __init__(self, folder: Path, *, port: int = 10250, health_port: int = 8081, flags: Sequence[str] = ()) -> None:
        self.catalog = folder / "catalog"
        self._folder = folder
        self._url = f"https://{_ADDRESS}:{port}/mutate"
        self._health = f"http://{_ADDRESS}:{health_port}"
        self._flags = ("--port", str(port), "--health-port", str(health_port), *flags)

    async def __aenter__(self) -> Self:
        """Start it and wait until it is ready."""
        self.catalog.mkdir(parents=True, exist_ok=True)
        (self.catalog / "none-yet.json").write_text('{"apiVersion": "v1", "kind": "List", "items": []}')
        # As in a cluster, one certificate is for the webhook and for the control plane of endpoints.
        self.certificate = files = write_certificate(self._folder, _ADDRESS, *control_plane_names())
        (self.catalog / "webhook-configuration.json").write_text(json.dumps(_configuration(files.ca.read_bytes())))
        self.log = self._folder / "webhook.log"
        with self.log.open("wb") as log:
            self._process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "webhook", "serve"),
                *("--tls-cert", str(files.cert), "--tls-key", str(files.key), "--catalog", str(self.catalog)),
                *self._flags,
                stdout=log,
                stderr=log,
                env=_environment(),
            )
        context = ssl.create_default_context(cafile=str(files.ca))
        self._client = httpx.AsyncClient(verify=context, trust_env=False, timeout=10.0)
        await self._wait_ready()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop it."""
        await self._client.aclose()
        if self._process.returncode is None:
            self._process.send_signal(signal.SIGTERM)
        try:
            await asyncio.wait_for(self._process.wait(), _STOP_SECONDS)
        except TimeoutError:
            self._process.kill()
            await self._process.wait()

    async def _wait_ready(self) -> None:
        end = time.monotonic() + _START_SECONDS
        while time.monotonic() < end:
            if self._process.returncode is not None:
                raise DemoError(f"the webhook ended with {self._process.returncode}: {self.log.read_text()[-2000:]}")
            try:
                if (await self._client.get(f"{self._health}/readyz")).is_success:
                    return
            except httpx.TransportError:
                pass
            await asyncio.sleep(0.05)
        raise DemoError(f"the webhook is not ready after {_START_SECONDS:.0f} s: {self.log.read_text()[-2000:]}")

    async def admit(self, pod: Mapping[str, Any]) -> Admitted:
        """Send a Pod for admission and apply the patch that comes back.

        Raises DemoError where it is rejected.
        """
        answer = await self._client.post(self._url, json=review(pod))
        if not answer.is_success:
            raise DemoError(f"the webhook answered {answer.status_code}: {answer.text}")
        response = answer.json()["response"]
        if not response["allowed"]:
            raise DemoError(f"the Pod was rejected: {response['status']['message']}")
        operations = json.loads(base64.b64decode(response.get("patch", "W10=")))
        patched = jsonpatch.apply_patch(pod, operations)
        return Admitted(patched, tuple(response.get("warnings", ())), bool(operations))

    async def metric(self, name: str) -> float:
        """Give the sum of a metric's samples."""
        text = (await self._client.get(f"{self._health}/metrics")).text
        samples = (line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))
        return sum(float(value) for key, value in samples if key.partition("{")[0] == name)


def _environment() -> dict[str, str]:
    """Give ours without settings that are meant for another webhook."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("EVENKEEL_")}
    return {**kept, "EVENKEEL_SHUTDOWN_DELAY_SECONDS": "0", "EVENKEEL_POLL_SECONDS": _LOOK_SECONDS}


def control_plane_names() -> tuple[str, str]:
    """Give the names by which Pods call the control plane of endpoints: the one of its certificate, and in full."""
    settings = SidecarSettings()
    name = f"{settings.xds_service}.{settings.own_namespace}.svc"
    return name, f"{name}.{settings.cluster_domain}"


def _configuration(authorities: bytes) -> dict[str, Any]:
    """Give as much of the webhook's configuration as says by whose signature it is known."""
    bundle = base64.b64encode(authorities).decode()
    return {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "MutatingWebhookConfiguration",
        "metadata": {"name": "evenkeel"},
        "webhooks": [{"name": f"inject.{names.DOMAIN}", "clientConfig": {"caBundle": bundle}}],
    }


def review(pod: Mapping[str, Any]) -> dict[str, Any]:
    """Give the AdmissionReview that an API server sends when a Pod is created."""
    return {
        "apiVersion": "admission.k8s.io/v1",
        "kind": "AdmissionReview",
        "request": {
            "uid": str(uuid.uuid4()),
            "kind": {"group": "", "version": "v1", "kind": "Pod"},
            "resource": {"group": "", "version": "v1", "resource": "pods"},
            "namespace": pod["metadata"]["namespace"],
            "operation": "CREATE",
            "userInfo": {"username": "system:serviceaccount:kube-system:replicaset-controller"},
            "dryRun": False,
            "object": pod,
        },
    }
