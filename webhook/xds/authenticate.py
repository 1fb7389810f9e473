"""Who a client is: proved by its Pod's token, as the API server judges it, or believed where the operator allows.

| a client | is |
| --- | --- |
| whose token was reviewed within a few minutes | who it was then |
| whose token is new, or was reviewed earlier | who the API server says |
| whose token was reviewed earlier, while the API server does not answer | who it was then |
| whose token is new, while the API server does not answer | told to come again |
| whose token is no good | refused, with the reason |
| without a token | refused, unless its namespace is one of `xds.unauthenticated_namespaces` |

Streams end before the token does with which they began: by then the kubelet has written another.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from webhook.core import names
from webhook.kube.errors import ClusterError
from webhook.xds.enquiries import Enquiries
from webhook.xds.identity import Identity
from webhook.xds.memory import Memory
from webhook.xds.refusals import AuthenticationMetrics
from webhook.xds.reviews import Refusal, Reviews, Verdict
from webhook.xds.tokens import Token, read_token

_LEEWAY: Final = 60.0
"""Our clock may be this wrong about a token's end; beyond it the API server is not even asked."""
_LIFE: Final = 3600.0
"""Of a stream, where nothing else ends it."""
_SPREAD: Final = 0.1
"""Of a token's life: in its last tenth streams end, not all at once. A kubelet renews it after eight."""
_REFUSED_SECONDS: Final = 10.0
"""A token that was refused is not shown to the API server again for so long."""
_UNAVAILABLE: Final = "the API server cannot be asked about the token now; come again"


@dataclass(frozen=True, slots=True)
class Terms:
    """What the operator decides about clients."""

    unauthenticated: frozenset[str] = field(default=frozenset())
    """Namespaces whose clients need no token."""
    fresh_seconds: float = 300.0
    """A review counts for so long without another."""
    at_once: int = 16
    """Reviews under way at a time."""
    wait_seconds: float = 10.0
    """A client whom nobody knows waits at most so long for a review,"""
    known_wait_seconds: float = 2.0
    """and one who was reviewed before so long: then it is believed."""
    most: int = 50_000
    """Tokens remembered."""


class Refused(Exception):
    """A client is not served; the sentence is for it and for the log."""

    def __init__(self, refusal: Refusal, sentence: str) -> None:
        super().__init__(sentence)
        self.refusal = refusal
        self.sentence = sentence


class Admitted(NamedTuple):
    """A client that is served: who it is, and for how many seconds at most."""

    identity: Identity
    seconds: float


class _Belief(NamedTuple):
    identity: Identity
    reviewed: float


class _Disbelief(NamedTuple):
    refusal: Refusal
    sentence: str
    until: float


class Authenticator:
    """Judges clients; `run` must be running."""

    def __init__(
        self,
        reviews: Reviews,
        metrics: AuthenticationMetrics,
        terms: Terms | None = None,
        *,
        now: Callable[[], float] = time.time,
        dice: Callable[[], float] = random.random,
    ) -> None:
        self._reviews = reviews
        self._metrics = metrics
        self._terms = terms or Terms()
        self._now = now
        self._dice = dice
        self._beliefs: Memory[bytes, _Belief] = Memory(self._terms.most)
        self._disbeliefs: Memory[bytes, _Disbelief] = Memory(self._terms.most // 10)
        self._enquiries: Enquiries[bytes, Token, Verdict] = Enquiries(self._ask, at_once=self._terms.at_once)

    async def run(self) -> None:
        """Have tokens reviewed, for ever."""
        await self._enquiries.run()

    async def admit(self, token: str | None, namespace: str, pod: str) -> Admitted:
        """Say who a client is by its token, or without one by the namespace and Pod that it claims; raises Refused."""
        if token is None:
            return self._unproved(namespace, pod)
        found = self._read(token)
        identity = await self._proved(found)
        self._metrics.admitted(proved=True)
        return Admitted(identity, self._life(found.issued, found.expires))

    def _unproved(self, namespace: str, pod: str) -> Admitted:
        if namespace not in self._terms.unauthenticated:
            raise Refused(
                Refusal.MISSING,
                f"there is no token in the metadata `authorization`: one of a Pod for {names.TOKEN_AUDIENCE} is needed",
            )
        self._metrics.admitted(proved=False)
        return Admitted(Identity(namespace, pod, ""), self._life(None, None))

    def _read(self, text: str) -> Token:
        """Read a token and hold against it what it says of itself."""
        try:
            token = read_token(text)
        except ValueError as error:
            raise Refused(Refusal.MALFORMED, f"the token cannot be read: {error}") from error
        if names.TOKEN_AUDIENCE not in token.audiences:
            raise Refused(Refusal.AUDIENCE, f"the token is not for {names.TOKEN_AUDIENCE}")
        if token.expires is not None and token.expires + _LEEWAY < self._now():
            raise Refused(Refusal.EXPIRED, "the token has expired")
        return token

    async def _proved(self, token: Token) -> Identity:
        key, now = token.digest, self._now()
        belief, disbelief = self._beliefs.get(key), self._disbeliefs.get(key)
        if belief is not None and now - belief.reviewed < self._terms.fresh_seconds:
            return belief.identity
        if disbelief is not None and now < disbelief.until:
            raise Refused(disbelief.refusal, disbelief.sentence)
        seconds = self._terms.wait_seconds if belief is None else self._terms.known_wait_seconds
        try:
            verdict = await self._enquiries.answer(key, token, seconds)
        except (ClusterError, TimeoutError) as error:
            if belief is None or (token.expires or 0.0) <= now:
                raise Refused(Refusal.UNAVAILABLE, _UNAVAILABLE) from error
            self._metrics.believed_unreviewed()
            return belief.identity
        if verdict.identity is None:
            raise Refused(verdict.refusal or Refusal.NOT_BELIEVED, verdict.sentence)
        return verdict.identity

    async def _ask(self, token: Token) -> Verdict:
        """Have a token reviewed, and remember what came of it though nobody may wait any more."""
        try:
            verdict = await self._reviews.ask(token)
        except ClusterError:
            self._metrics.unreviewed()
            raise
        key, now = token.digest, self._now()
        self._metrics.reviewed(believed=verdict.identity is not None)
        if verdict.identity is not None:
            self._beliefs.put(key, _Belief(verdict.identity, now))
            self._disbeliefs.forget(key)
        else:
            refusal = verdict.refusal or Refusal.NOT_BELIEVED
            self._disbeliefs.put(key, _Disbelief(refusal, verdict.sentence, now + _REFUSED_SECONDS))
            self._beliefs.forget(key)
        return verdict

    def _life(self, issued: float | None, expires: float | None) -> float:
        """Choose when a stream ends: in the last tenth of its token's life."""
        now = self._now()
        left = _LIFE if expires is None else max(expires - now, 1.0)
        life = _LIFE if issued is None or expires is None else max(expires - issued, left)
        return left - self._dice() * min(_SPREAD * life, left / 2)
