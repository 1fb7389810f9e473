"""What the API server says of a token: asked by TokenReview, read into who the client is."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, Final, NamedTuple, Protocol

import structlog
from prometheus_client import CollectorRegistry, Counter

from webhook.core import names
from webhook.kube.errors import ClusterError, Unreachable, shorten
from webhook.kube.resources import TOKEN_REVIEWS
from webhook.xds.identity import Identity
from webhook.xds.refusals import Refusal
from webhook.xds.tokens import Token

_SECONDS: Final = 5.0
"""An answer takes milliseconds; who has not answered by then is taken for gone."""
_ACCOUNT: Final = "system:serviceaccount:"
_EXTRA: Final = "authentication.kubernetes.io/"
_NO_TOKEN: Final = "evenkeel"  # noqa: S105 - none
_EXPIRED: Final = "token has expired"


class Verdict(NamedTuple):
    """What a review found: who it is, or why it is nobody, for the client and for the log."""

    identity: Identity | None
    refusal: Refusal = Refusal.NOT_BELIEVED
    message: str = ""


class ReviewMetrics:
    """How reviews of tokens go."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._reviews = Counter(
            "evenkeel_xds_token_reviews",
            "Tokens shown to the API server, by its answer.",
            ["result"],
            registry=registry,
        )
        self._on_trust = Counter(
            "evenkeel_xds_tokens_believed_unreviewed",
            "Clients served on an earlier review of their token, since the API server did not answer.",
            registry=registry,
        )
        for result in ("believed", "refused", "failed"):
            self._reviews.labels(result)

    def reviewed(self, *, believed: bool) -> None:
        """Count an answer of the API server."""
        self._reviews.labels("believed" if believed else "refused").inc()

    def failed(self) -> None:
        """Count a question without an answer."""
        self._reviews.labels("failed").inc()

    def believed_unreviewed(self) -> None:
        """Count a client that is believed on an earlier review."""
        self._on_trust.inc()


class Creator(Protocol):
    """As much of `webhook.kube.api.Api` as is needed here."""

    async def create(self, path: str, body: Any, **params: Any) -> Any:
        """Create an object; raises a ClusterError."""


class Reviews:
    """Asks the API server, and counts its answers."""

    def __init__(self, api: Creator, metrics: ReviewMetrics) -> None:
        self._api = api
        self._metrics = metrics
        self._problem: str | None = "none has been reviewed yet"
        self._log = structlog.get_logger().bind()

    @property
    def problem(self) -> str | None:
        """Say why the last review could not be had, or None."""
        return self._problem

    async def ask(self, token: Token) -> Verdict:
        """Have a token judged; raises a ClusterError where the API server does not judge, which is logged once."""
        try:
            verdict = read_review(await self._created(token.text))
        except ClusterError:
            self._metrics.failed()
            raise
        self._metrics.reviewed(believed=verdict.identity is not None)
        return verdict

    async def try_out(self) -> None:
        """Have something judged that is no token, to see whether we may ask; raises a ClusterError."""
        await self._created(_NO_TOKEN)

    async def _created(self, token: str) -> Mapping[str, Any]:
        try:
            review = await self._posted(token)
        except ClusterError as error:
            if self._problem != str(error):
                self._problem = str(error)
                self._log.warning("tokens cannot be reviewed", error=self._problem)
            raise
        self._problem = None
        return review

    async def _posted(self, token: str) -> Mapping[str, Any]:
        path = TOKEN_REVIEWS.path()
        body = {
            "apiVersion": TOKEN_REVIEWS.api_version,
            "kind": TOKEN_REVIEWS.kind,
            "spec": {"token": token, "audiences": [names.TOKEN_AUDIENCE]},
        }
        try:
            async with asyncio.timeout(_SECONDS):
                answer = await self._api.create(path, body)
        except TimeoutError as error:
            raise Unreachable("POST", path, f"the API server said nothing for {_SECONDS:g} s") from error
        review: Mapping[str, Any] = answer.object
        return review


def read_review(review: Mapping[str, Any]) -> Verdict:
    """Read a TokenReview that came back."""
    status = review.get("status") or {}
    if status.get("authenticated") is not True:
        return _not_believed(shorten(str(status.get("error") or "")))
    # An authenticator that knows no audiences names none: its word would let in any token of the cluster.
    if names.TOKEN_AUDIENCE not in (status.get("audiences") or ()):
        return Verdict(None, Refusal.AUDIENCE, f"the token is not for {names.TOKEN_AUDIENCE}")
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
    return Verdict(None, message=f"the API server does not believe the token{error and ': '}{error}")


def _first(extra: Mapping[str, Any], key: str) -> str:
    found = extra.get(_EXTRA + key)
    return str(found[0]) if isinstance(found, list) and found else ""
