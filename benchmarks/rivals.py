"""What Evenkeel is compared with, each served as Evenkeel serves: same uvicorn, same TLS, same garbage collection.

    python benchmarks/rivals.py ceiling CERT KEY     a bare ASGI callable that reads the body and answers a constant
    python benchmarks/rivals.py fastapi CERT KEY     FastAPI, pydantic, a deep copy of the Pod, a jsonpatch diff

The ceiling answers `/N` with N bytes. Both print one line when they listen: the port.
"""

from __future__ import annotations

import asyncio
import base64
import copy
import gc
import json
import sys
from functools import cache
from pathlib import Path
from typing import Any, Final

import jsonpatch
import uvloop
from fastapi import FastAPI
from prometheus_client import CollectorRegistry
from pydantic import BaseModel, ConfigDict, Field
from reviews import FEW, services, usual_pod
from starlette.types import ASGIApp, Receive, Scope, Send

from webhook.core.catalog import build_catalog
from webhook.core.inject import Injector
from webhook.core.model import SidecarSettings
from webhook.core.outcome import Sidecar
from webhook.core.pod import read_pod
from webhook.observe import configure_logging
from webhook.server.listen import Server, bind, config
from webhook.templates import dump, load_templates
from webhook.tls.files import CertificateFiles
from webhook.tls.metrics import CertificateMetrics
from webhook.tls.watch import CertificateWatch

_KEEP_ALIVE: Final = 180
_SHUTDOWN: Final = 1.0
_JSON: Final = (b"content-type", b"application/json")


async def ceiling(scope: Scope, receive: Receive, send: Send) -> None:
    """Read the body and answer as many bytes as the path says."""
    while (await receive()).get("more_body"):
        pass
    answer = _constant(int(scope["path"][1:]))
    headers = [_JSON, (b"content-length", b"%d" % len(answer))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": answer})


@cache
def _constant(length: int) -> bytes:
    return b'"' + b"x" * (length - 2) + b'"'


class AdmissionRequest(BaseModel):
    """The half of a review that asks."""

    model_config = ConfigDict(extra="ignore")
    uid: str
    namespace: str
    operation: str
    dry_run: bool = Field(alias="dryRun")
    object: dict[str, Any]


class AdmissionReview(BaseModel):
    """The review as most webhooks read it."""

    model_config = ConfigDict(extra="ignore", populate_by_name=True)
    api_version: str = Field(alias="apiVersion")
    kind: str
    request: AdmissionRequest


def diffing() -> FastAPI:
    """Make the usual webhook: it gives every Pod the sidecar that Evenkeel would, and finds the patch by comparing."""
    app = FastAPI(openapi_url=None)
    sidecar = _sidecar()

    @app.post("/mutate")
    async def mutate(review: AdmissionReview) -> dict[str, Any]:
        pod = review.request.object
        changed = _edited(pod, sidecar)
        patch = json.dumps(jsonpatch.make_patch(pod, changed).patch)
        response = {
            "uid": review.request.uid,
            "allowed": True,
            "patchType": "JSONPatch",
            "patch": base64.b64encode(patch.encode()).decode(),
        }
        return {"apiVersion": review.api_version, "kind": review.kind, "response": response}

    return app


def _edited(pod: dict[str, Any], sidecar: Sidecar) -> dict[str, Any]:
    changed = copy.deepcopy(pod)
    changed["metadata"].setdefault("annotations", {}).update(sidecar.annotations)
    changed["spec"].setdefault("initContainers", []).insert(0, sidecar.container)
    changed["spec"].setdefault("volumes", []).insert(0, sidecar.volume)
    return changed


def _sidecar() -> Sidecar:
    """Render once what Evenkeel renders (and keeps) for a namespace with 3 upstreams."""
    injector = Injector(SidecarSettings(), load_templates(None), dump)
    outcome = injector.admit(read_pod(usual_pod(), FEW), build_catalog(services()["items"]), None)
    assert outcome.sidecar is not None
    return outcome.sidecar


async def serve(app: ASGIApp, certificate: CertificateFiles) -> None:
    """Serve until the process is ended."""
    tls = CertificateWatch(certificate, CertificateMetrics(CollectorRegistry())).live.listener
    listener = bind("port", "127.0.0.1", 0)
    server = Server("rival", config(app, _KEEP_ALIVE, _SHUTDOWN, tls=tls), listener)
    gc.collect()
    gc.freeze()
    print(listener.getsockname()[1], flush=True)
    await server.run_until_told()


def main(which: str, cert: str, key: str) -> None:
    """Run one of them."""
    configure_logging("json", "error")  # standard output is for the port
    app: ASGIApp = ceiling if which == "ceiling" else diffing()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve(app, CertificateFiles(Path(cert), Path(key), None)))


if __name__ == "__main__":
    main(*sys.argv[1:])
