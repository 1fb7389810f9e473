"""What the API server says of a token: asked by TokenReview, read into who the client is."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, Protocol

from webhook.core import names
from webhook.kube.errors import Unreachable, shorten
from webhook.kube.resources import TOKEN_REVIEWS
from webhook.xds.identity import Identity
from webhook.xds.tokens import Token

_SECONDS: Final = 5.0
"""An answer takes milliseconds; who has not answered by then is taken for gone."""
_ACCOUNT: Final = "system:serviceaccount:"
_EXTRA: Final = "authentication.kubernetes.io/"
_EXPIRED: Final = "token has expired"


class Refusal(StrEnum):
    """Why a client is not served; a metric's label."""

    MISSING = "missing"
    MALFORMED = "malformed"
    AUDIENCE = "wrong-audience"
    EXPIRED = "expired"
    NOT_A_POD = "not-a-pod"
    NOT_BELIEVED = "not-believed"
    UNAVAILABLE = "unavailable"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a review found: who it is, or why it is nobody."""

    identity: Identity | None
    refusal: Refusal | None = None
    sentence: str = ""


class Reviewer(Protocol):
    """As much of `webhook.kube.api.Api` as is needed here."""

    async def create(self, path: str, body: Any, **params: Any) -> Any:
        """Create an object; raises a ClusterError."""


class Reviews:
    """Asks the API server."""

    def __init__(self, api: Reviewer, audience: str = names.TOKEN_AUDIENCE) -> None:
        self._api = api
        self._audience = audience

    async def ask(self, token: Token) -> Verdict:
        """Have a token judged; raises a ClusterError where the API server does not judge."""
        path = TOKEN_REVIEWS.path()
        body = {
            "apiVersion": TOKEN_REVIEWS.api_version,
            "kind": TOKEN_REVIEWS.kind,
            "spec": {"token": token.text, "audiences": [self._audience]},
        }
        try:
            async with asyncio.timeout(_SECONDS):
                answer = await self._api.create(path, body)
        except TimeoutError as error:
            raise Unreachable("POST", path, f"the API server said nothing for {_SECONDS:g} s") from error
        return read_review(answer.object, self._audience)


def read_review(review: Mapping[str, Any], audience: str) -> Verdict:
    """Read a TokenReview that came back."""
    status = review.get("status") or {}
    if status.get("authenticated") is not True:
        return _not_believed(shorten(str(status.get("error") or "")))
    if audience not in (status.get("audiences") or ()):
        return Verdict(None, Refusal.AUDIENCE, f"the token is not for {audience}")
    user = status.get("user") or {}
    name, extra = str(user.get("username") or ""), user.get("extra") or {}
    namespace, _, account = name.removeprefix(_ACCOUNT).partition(":")
    pod = _first(extra, "pod-name")
    if not (name.startswith(_ACCOUNT) and namespace and account and pod):
        return Verdict(None, Refusal.NOT_A_POD, f"the token is that of {shorten(name) or 'nobody'}, not of a Pod")
    return Verdict(Identity(namespace, pod, _first(extra, "node-name")))


def _not_believed(error: str) -> Verdict:
    if _EXPIRED in error:
        return Verdict(None, Refusal.EXPIRED, "the token has expired")
    return Verdict(None, Refusal.NOT_BELIEVED, f"the API server does not believe the token{error and ': '}{error}")


def _first(extra: Mapping[str, Any], key: str) -> str:
    found = extra.get(_EXTRA + key)
    return str(found[0]) if isinstance(found, list) and found else ""
