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

import asyncio
import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final, NamedTuple

from webhook.core import names
from webhook.kube.errors import ClusterError
from webhook.xds.client import Client
from webhook.xds.enquiries import Enquiries
from webhook.xds.identity import Identity
from webhook.xds.memory import Memory
from webhook.xds.refusals import Refusal, Refusals, Refused
from webhook.xds.reviews import ReviewMetrics, Reviews, Verdict
from webhook.xds.tokens import Token, read_token, shown
from webhook.xds.zones import Zones

_LIFE: Final = 3600.0
"""Of a stream, where no token ends it."""
_SPREAD: Final = 0.1
"""Of a token's life: in its last tenth streams end, not all at once. A kubelet renews it after eight."""
_REFUSED_SECONDS: Final = 10.0
"""A token that was refused is not shown to the API server again for so long."""
_WAIT_SECONDS: Final = 14.0
"""A client whom nobody knows waits at most so long for a review,"""
_KNOWN_WAIT_SECONDS: Final = 2.0
"""and one whose token was reviewed before so long: then it is believed."""
_TRY_SECONDS: Final = 2.0
_MOST_TOKENS: Final = 50_000
_MOST_REFUSED: Final = 5_000


@dataclass(frozen=True, slots=True)
class Terms:
    """What the operator decides about clients."""

    unauthenticated: frozenset[str] = field(default=frozenset())
    """Namespaces whose clients need no token."""
    fresh_seconds: float = 300.0
    """A review counts for so long without another."""
    at_once: int = 16
    """Reviews under way at a time."""


class _Belief(NamedTuple):
    identity: Identity
    reviewed: float


class _Disbelief(NamedTuple):
    verdict: Verdict
    until: float


class Authenticator:
    """Judges clients, as webhook.xds.client has it; `run` must be running."""

    def __init__(
        self,
        reviews: Reviews,
        zones: Zones,
        refusals: Refusals,
        metrics: ReviewMetrics,
        terms: Terms | None = None,
        *,
        now: Callable[[], float] = time.time,
        dice: Callable[[], float] = random.random,
    ) -> None:
        self._reviews = reviews
        self._zones = zones
        self._refusals = refusals
        self._metrics = metrics
        self._terms = terms or Terms()
        self._now = now
        self._dice = dice
        self._tried = asyncio.Event()
        self._beliefs: Memory[bytes, _Belief] = Memory(_MOST_TOKENS)
        self._disbeliefs: Memory[bytes, _Disbelief] = Memory(_MOST_REFUSED)
        self._enquiries: Enquiries[bytes, Token, Verdict] = Enquiries(self._ask, at_once=self._terms.at_once)

    def missing(self) -> str | None:
        """Say why nobody could be let in, or None once the API server has judged anything; for readiness.

        What happens later is another matter: who was believed goes on being so.
        """
        return None if self._tried.is_set() else f"tokens cannot be reviewed: {self._reviews.problem}"

    async def run(self) -> None:
        """Have tokens reviewed and nodes looked up, for ever."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._enquiries.run())
            group.create_task(self._zones.run())
            group.create_task(self._try())

    async def _try(self) -> None:
        while not self._tried.is_set():
            try:
                await self._reviews.try_out()
            except ClusterError:
                await asyncio.sleep(_TRY_SECONDS)
            else:
                self._tried.set()

    async def __call__(self, metadata: Mapping[str, str], peer: str) -> Client:
        """Say who a client is by its token; raises Refused, once that is counted and logged."""
        text = shown(metadata)
        try:
            if text is None:
                raise _missing()
            client = await self._shown(text)
        except Refused as error:
            self._refusals.refused(_host(peer), error)
            raise
        self._refusals.admitted(proved=True)
        return client

    async def anonymous(self, peer: str, node: Any) -> Client:
        """Say who a client without a token is by what the node (core.v3.Node) of its first request says.

        Raises Refused, once that is counted and logged.
        """
        namespace, pod = claim(node)
        if namespace not in self._terms.unauthenticated:
            error = _missing()
            self._refusals.refused(f"{_host(peer)} ({node.id})", error)
            raise error
        self._refusals.admitted(proved=False)
        return Client(Identity(namespace, pod), self._life(None))

    async def _shown(self, text: str) -> Client:
        token = _read(text, self._now())
        identity = await self._proved(token)
        zone = await self._zones.of(identity.node)
        return Client(replace(identity, zone=zone), self._life(token))

    async def _proved(self, token: Token) -> Identity:
        key, now = token.digest, self._now()
        belief = self._beliefs.get(key)
        if belief is not None and now - belief.reviewed < self._terms.fresh_seconds:
            return belief.identity
        disbelief = self._disbeliefs.get(key)
        if disbelief is not None and now < disbelief.until:
            return _accepted(disbelief.verdict)
        seconds = _WAIT_SECONDS if belief is None else _KNOWN_WAIT_SECONDS
        try:
            verdict = await self._enquiries.answer(key, token, seconds)
        except (ClusterError, TimeoutError) as error:
            if belief is None:
                sentence = "the API server cannot be asked about the token now; come again"
                raise Refused(Refusal.UNAVAILABLE, sentence) from error
            self._metrics.believed_unreviewed()
            return belief.identity
        return _accepted(verdict)

    async def _ask(self, token: Token) -> Verdict:
        """Have a token reviewed, and remember what came of it though nobody may wait any more."""
        verdict = await self._reviews.ask(token)
        key, now = token.digest, self._now()
        if verdict.identity is not None:
            self._beliefs.put(key, _Belief(verdict.identity, now))
            self._disbeliefs.forget(key)
        else:
            self._disbeliefs.put(key, _Disbelief(verdict, now + _REFUSED_SECONDS))
            self._beliefs.forget(key)
        return verdict

    def _life(self, token: Token | None) -> float:
        """Choose when a stream ends: in the last tenth of its token's life."""
        left = _LIFE if token is None else max(token.expires - self._now(), 1.0)
        life = _LIFE if token is None else max(token.expires - token.issued, left)
        return left - self._dice() * min(_SPREAD * life, left / 2)


def claim(node: Any) -> tuple[str, str]:
    """Give the namespace and the Pod that a client says it is, by metadata or as the id `pod.namespace`."""
    pod, _, namespace = str(node.id).rpartition(".")
    fields = node.metadata.fields
    said = fields["namespace"].string_value if "namespace" in fields else ""
    return said or (namespace if pod else ""), pod or str(node.id)


def _missing() -> Refused:
    sentence = f"there is no token in the metadata `authorization`: one of a Pod for {names.TOKEN_AUDIENCE} is needed"
    return Refused(Refusal.MISSING, sentence)


def _host(peer: str) -> str:
    """Name a client in the log: by its address without the port, which is another each time."""
    return peer.rpartition(":")[0] or peer


def _read(text: str, now: float) -> Token:
    """Read a token, and hold against it what it says of itself."""
    try:
        token = read_token(text)
    except ValueError as error:
        raise Refused(Refusal.MALFORMED, f"the token cannot be read: {error}") from error
    if names.TOKEN_AUDIENCE not in token.audiences:
        raise Refused(Refusal.AUDIENCE, f"the token is not for {names.TOKEN_AUDIENCE}")
    if token.expires <= now:
        # The API server would let it in for a minute more, and its stream would have no time to live.
        raise Refused(Refusal.EXPIRED, f"the token has expired, {now - token.expires:.0f} s ago by the clock here")
    return token


def _accepted(verdict: Verdict) -> Identity:
    if verdict.identity is None:
        raise Refused(verdict.refusal, verdict.message)
    return verdict.identity
