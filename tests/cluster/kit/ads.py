"""One question to `evenkeel xds`, as a sidecar asks it: over TLS, with a Pod's token."""

from __future__ import annotations

import asyncio
from typing import Any, Final

import grpc

from tests.cluster.kit.rest import Json, Rest
from webhook.core import names
from webhook.xds.source import EDS
from webhook.xds.wire import field

_STREAM: Final = "/envoy.service.discovery.v3.AggregatedDiscoveryService/StreamAggregatedResources"
_NAMES, _TYPE = 3, 4


async def endpoints(target: str, trust: bytes, host: str, token: str, name: str, *, limit: float = 30) -> bytes:
    """Give the first response to who asks for a Service's endpoints, as it came; grpc.aio.AioRpcError if refused."""
    credentials = grpc.ssl_channel_credentials(trust)
    options = [("grpc.ssl_target_name_override", host)]
    async with grpc.aio.secure_channel(target, credentials, options=options) as channel:
        stream = channel.stream_stream(_STREAM)(metadata=[("authorization", token)], wait_for_ready=True)
        await stream.write(field(_NAMES, name.encode()) + field(_TYPE, EDS.encode()))
        async with asyncio.timeout(limit):
            answer: bytes = await stream.read()
        stream.cancel()
        return answer


async def token_of(rest: Rest, pod: Json, audience: str = names.TOKEN_AUDIENCE) -> str:
    """Have a token issued that is bound to a Pod, as the kubelet has it."""
    metadata, account = pod["metadata"], pod["spec"].get("serviceAccountName") or "default"
    bound = {"apiVersion": "v1", "kind": "Pod", "name": metadata["name"], "uid": metadata["uid"]}
    spec: dict[str, Any] = {"audiences": [audience], "boundObjectRef": bound}
    path = f"/api/v1/namespaces/{metadata['namespace']}/serviceaccounts/{account}/token"
    request = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": spec}
    issued: str = (await rest.post(path, request))["status"]["token"]
    return issued
