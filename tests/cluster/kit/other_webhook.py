"""Somebody else's mutating webhook: an HTTPS server on the node's own address, with a CA of its own."""

from __future__ import annotations

import json
import ssl
import threading
from base64 import b64encode
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final

from tests.cluster.kit.identity import Authority
from tests.cluster.kit.rest import Json
from tests.cluster.kit.world import World
from webhook.node.network import GATEWAY

Edit = Callable[[Json], list[Json]]
"""Gives the operations for a Pod."""
_NAME: Final = "kubernetes.io/metadata.name"


@dataclass(slots=True)
class Neighbour:
    """How often it was called, and in what it saw of our sidecar then."""

    edit: Edit
    seen: list[Json] = field(default_factory=list)
    """The Pods that it was shown, in order."""

    def answer(self, review: Json) -> Json:
        """Answer a review as the API server wants it."""
        request = review["request"]
        self.seen.append(request["object"])
        patch = json.dumps(self.edit(request["object"])).encode()
        response = {
            "uid": request["uid"],
            "allowed": True,
            "patchType": "JSONPatch",
            "patch": b64encode(patch).decode(),
        }
        return {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": response}


@asynccontextmanager
async def neighbour(
    world: World, name: str, namespace: str, edit: Edit, *, reinvocation: str = "Never"
) -> AsyncIterator[Neighbour]:
    """Register a webhook for the Pods of one namespace; those are called in the order of their names."""
    authority = Authority.create(name)
    found = Neighbour(edit)
    server = _server(found, authority)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    registered = _configuration(name, namespace, server.server_address[1], authority.pair.cert, reinvocation)
    try:
        await world.apply([registered])
        yield found
    finally:
        await world.delete([registered])
        server.shutdown()
        thread.join()
        server.server_close()


def _server(found: Neighbour, authority: Authority) -> ThreadingHTTPServer:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            review = json.loads(self.rfile.read(int(self.headers["content-length"])))
            answer = json.dumps(found.answer(review)).encode()
            self.send_response(200)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue("neighbour", sans=[GATEWAY]).load_into(context)
    server = ThreadingHTTPServer((GATEWAY, 0), Handler)
    # A connection that the API server keeps open holds up no end.
    server.daemon_threads = True
    server.socket = context.wrap_socket(server.socket, server_side=True)
    return server


def _configuration(name: str, namespace: str, port: int, ca: bytes, reinvocation: str) -> Json:
    rule = {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"]}
    webhook = {
        "name": f"{name}.example.com",
        "admissionReviewVersions": ["v1"],
        "clientConfig": {"url": f"https://{GATEWAY}:{port}/", "caBundle": b64encode(ca).decode()},
        "rules": [rule],
        "failurePolicy": "Fail",
        "reinvocationPolicy": reinvocation,
        "sideEffects": "None",
        "namespaceSelector": {"matchLabels": {_NAME: namespace}},
    }
    return {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "MutatingWebhookConfiguration",
        "metadata": {"name": name},
        "webhooks": [webhook],
    }
