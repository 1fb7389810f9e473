"""Tokens as an API server gives them, and an API server that judges them as it is told."""

from __future__ import annotations

import asyncio
from base64 import urlsafe_b64encode
from dataclasses import dataclass, field
from typing import Any

import orjson
from prometheus_client import CollectorRegistry

from webhook.core import names
from webhook.kube.api import Answer
from webhook.kube.errors import NotFound, Unreachable
from webhook.xds.authenticate import Authenticator, Terms
from webhook.xds.refusals import Refusals
from webhook.xds.reviews import ReviewMetrics, Reviews
from webhook.xds.zones import Zones

Json = dict[str, Any]
NOW = 1_800_000_000.0
PEER = "ipv4:10.0.0.7:41234"


def jwt(claims: Any = None, **more: Any) -> str:
    """Make a token of an hour, six minutes old, for the control plane."""
    usual = {"aud": [names.TOKEN_AUDIENCE], "iat": NOW - 360, "exp": NOW + 3240, "sub": "system:serviceaccount:shop:x"}
    parts = ({"alg": "RS256"}, usual | more if claims is None else claims)
    return ".".join([*(urlsafe_b64encode(orjson.dumps(part)).rstrip(b"=").decode() for part in parts), "c2ln"])


def user(namespace: str = "shop", pod: str = "front-1", node: str = "node-a") -> Json:
    """Say who a Pod is, as the API server does."""
    extra = {"pod-name": pod, "pod-uid": "u", "node-name": node}
    return {
        "username": f"system:serviceaccount:{namespace}:front",
        "uid": "u",
        "groups": ["system:serviceaccounts"],
        "extra": {f"authentication.kubernetes.io/{key}": [value] for key, value in extra.items() if value},
    }


def believed(**who: str) -> Json:
    """Give the status of a review that went well."""
    return {"authenticated": True, "audiences": [names.TOKEN_AUDIENCE], "user": user(**who)}


def refused(error: str = "[invalid bearer token]") -> Json:
    """Give the status of one that did not."""
    return {"user": {}, "error": error}


@dataclass
class Cluster:
    """Judges tokens and knows nodes; as much of Api as authentication needs."""

    verdicts: dict[str, Json] = field(default_factory=dict)
    """By token; every other is that of Pod front-1 in namespace shop."""
    nodes: dict[str, Json] = field(
        default_factory=lambda: {"node-a": {"metadata": {"labels": {"topology.kubernetes.io/zone": "z1"}}}}
    )
    gone: bool = False
    held: asyncio.Event | None = None
    """Nothing is answered before it is set."""
    reviewed: list[str] = field(default_factory=list)
    looked_up: list[str] = field(default_factory=list)
    under_way: int = 0
    most_under_way: int = 0

    async def create(self, path: str, body: Any, **_: Any) -> Answer:
        """Judge a token."""
        assert path == "/apis/authentication.k8s.io/v1/tokenreviews"
        assert body["spec"]["audiences"] == [names.TOKEN_AUDIENCE]
        token = body["spec"]["token"]
        if "." not in token:
            if self.gone:
                raise Unreachable("POST", path, "connection refused")
            return Answer({**body, "status": refused()})
        self.reviewed.append(token)
        self.under_way += 1
        self.most_under_way = max(self.most_under_way, self.under_way)
        try:
            await self._answered("POST", path)
        finally:
            self.under_way -= 1
        return Answer({**body, "status": self.verdicts.get(token, believed())})

    async def get(self, path: str, **_: Any) -> Json:
        """Give a node."""
        name = path.removeprefix("/api/v1/nodes/")
        self.looked_up.append(name)
        await self._answered("GET", path)
        if name not in self.nodes:
            raise NotFound("GET", path, "")
        return self.nodes[name]

    async def _answered(self, verb: str, path: str) -> None:
        await asyncio.sleep(0)
        if self.held is not None:
            await self.held.wait()
        if self.gone:
            raise Unreachable(verb, path, "connection refused")


class Door:
    """An authenticator with its metrics, its clock and its dice."""

    def __init__(self, cluster: Cluster, **terms: Any) -> None:
        self.now = NOW
        self.dice = 0.0
        self.registry = CollectorRegistry()
        metrics = ReviewMetrics(self.registry)
        self.authenticator = Authenticator(
            Reviews(cluster, metrics),
            Zones(cluster, now=lambda: self.now),
            Refusals(self.registry, now=lambda: self.now),
            metrics,
            Terms(**terms),
            now=lambda: self.now,
            dice=lambda: self.dice,
        )

    async def asks(self, token: str | None, node: Any = None, *, peer: str = PEER) -> Any:
        """Come with a token, or with the node that one says one is, or with neither."""
        if node is not None:
            return await self.authenticator.anonymous(peer, node)
        return await self.authenticator({} if token is None else {"authorization": token}, peer)

    def metric(self, name: str, **labels: str) -> float | None:
        """Read a metric."""
        return self.registry.get_sample_value(name, labels)
