"""The tokens that a kubelet would fetch for Pods, and what an API server would say when it is shown one."""

from __future__ import annotations

import json
import secrets
import time
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from webhook.core import names

_SECONDS: Final = 3600
_ACCOUNT: Final = "default"
NODE: Final = "evenkeel-node"


class Reviewed(NamedTuple):
    """An answer of the API server's."""

    object: Mapping[str, Any]


class Tokens:
    """Gives each Pod a token of its own and knows it again: what `webhook.xds` asks an API server for."""

    def __init__(self) -> None:
        self.of_pods: dict[tuple[str, str], dict[str, str]] = {}
        """By (namespace, uid) and audience, as a Node takes them."""
        self._holders: dict[str, Mapping[str, Any]] = {}

    def issue(self, pod: Mapping[str, Any]) -> None:
        """Make a Pod's token, before it runs."""
        metadata = pod["metadata"]
        token = _token(metadata)
        self._holders[token] = metadata
        self.of_pods[metadata["namespace"], metadata["uid"]] = {names.TOKEN_AUDIENCE: token}

    def revoke(self, pod: Mapping[str, Any]) -> None:
        """Forget it: a token lives no longer than its Pod."""
        metadata = pod["metadata"]
        for token in self.of_pods.pop((metadata["namespace"], metadata["uid"]), {}).values():
            del self._holders[token]

    async def create(self, path: str, body: Any, **_params: Any) -> Reviewed:
        """Answer a TokenReview: the one kind of object that is created here."""
        del path
        holder = self._holders.get(body["spec"]["token"])
        if holder is None:
            return Reviewed({**body, "status": {"authenticated": False, "error": "it is of no Pod that there is"}})
        extra = {"pod-name": [holder["name"]], "node-name": [NODE]}
        user = {
            "username": f"system:serviceaccount:{holder['namespace']}:{_ACCOUNT}",
            "extra": {f"authentication.kubernetes.io/{key}": value for key, value in extra.items()},
        }
        status = {"authenticated": True, "audiences": [names.TOKEN_AUDIENCE], "user": user}
        return Reviewed({**body, "status": status})

    async def get(self, path: str, **_params: Any) -> Mapping[str, Any]:
        """Give the one Node, which is in no zone."""
        del path
        return {"apiVersion": "v1", "kind": "Node", "metadata": {"name": NODE}}


def _token(holder: Mapping[str, Any]) -> str:
    """Make a JSON web token; instead of a signature it has what nobody can guess."""
    now = int(time.time())
    subject = f"system:serviceaccount:{holder['namespace']}:{_ACCOUNT}"
    claims = {"aud": [names.TOKEN_AUDIENCE], "iat": now, "exp": now + _SECONDS, "sub": subject}
    return ".".join((_part({"alg": "none", "typ": "JWT"}), _part(claims), secrets.token_urlsafe(32)))


def _part(document: Mapping[str, Any]) -> str:
    return urlsafe_b64encode(json.dumps(document).encode()).decode().rstrip("=")
