"""Which replica writes: the one that holds a Lease.

Nobody's clock is compared with another's: a candidate takes the Lease when it has watched its record stay the same
for as long as the record says. The holder stops writing RENEW_SECONDS after it *sent* its last good renewal, which is
earlier than anybody else can have watched for LEASE_SECONDS.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Final, Protocol

import structlog

from webhook.kube.api import Answer
from webhook.kube.errors import AlreadyExists, ClusterError, Conflict, NotFound
from webhook.kube.resources import LEASES
from webhook.reconcile.lease import held, holder_of, new_lease, released, seconds_of

Json = dict[str, Any]

RENEW_SECONDS: Final = 10.0
"""A holder that could not renew for so long writes no more."""
RETRY_SECONDS: Final = 2.0
REQUEST_SECONDS: Final = 4.0
"""A request that hangs leaves time for another before the Lease is lost."""
_JITTER: Final = 0.2
_RELEASE_SECONDS: Final = 2.0


class LeaseApi(Protocol):
    """As much of webhook.kube.api.Api as this needs."""

    async def get(self, path: str, **params: Any) -> Json:
        """Read an object."""
        ...

    async def create(self, path: str, body: Json, **params: Any) -> Answer:
        """Create an object."""
        ...

    async def replace(self, path: str, body: Json, **params: Any) -> Answer:
        """Replace an object, in the version that stands in it."""
        ...


def utc_now() -> datetime:
    """Give the time of day, for people who read the Lease."""
    return datetime.now(UTC)


class Election:
    """Takes and keeps one Lease; asked again and again whether it is held."""

    def __init__(
        self,
        api: LeaseApi,
        name: str,
        namespace: str,
        identity: str,
        *,
        clock: Callable[[], float],
        changed: Callable[[bool], None],
        now: Callable[[], datetime] = utc_now,
        chance: random.Random | None = None,
    ) -> None:
        """Take where the Lease is, who we are, a clock that only goes forward, and who hears of gain and loss."""
        self._api = api
        self._name = name
        self._namespace = namespace
        self._identity = identity
        self._clock = clock
        self._changed = changed
        self._now = now
        self._chance = chance or random.Random()  # noqa: S311 - spreads requests, guards nothing
        self._log = structlog.get_logger().bind(lease=f"{namespace}/{name}", identity=identity)
        self._lease: Json | None = None
        self._seen_at = 0.0
        self._leads_until = 0.0
        self._told = False
        self._problem = ""

    def leads_for(self) -> float:
        """Say for how many seconds we may write yet; 0 is not at all."""
        return max(0.0, self._leads_until - self._clock())

    async def run(self) -> None:
        """Take the Lease when it is free, renew it, for as long as the process lives. Never raises a ClusterError."""
        while True:
            await self.attempt()
            self._tell()
            rest = RETRY_SECONDS * (1.0 + _JITTER * self._chance.random())
            # Waking at the very end of the term tells of its loss then, not up to a retry later.
            await asyncio.sleep(min(rest, self.leads_for() + 0.001) if self._told else rest)
            self._tell()

    async def release(self) -> None:
        """Give the Lease back if it is ours; to be called when nothing is written any more."""
        lease, leads = self._lease, self.leads_for() > 0.0
        self._leads_until = 0.0
        self._tell()
        if lease is None or not leads:
            return
        try:
            async with asyncio.timeout(_RELEASE_SECONDS):
                await self._api.replace(self._path(), released(lease, self._now()))
            self._log.info("lease given back")
        except (ClusterError, TimeoutError) as error:
            self._log.warning("the lease could not be given back, the next replica waits for its end", error=str(error))

    async def attempt(self) -> None:
        """Try once to take or renew the Lease; ends by itself where the API server does not answer."""
        try:
            async with asyncio.timeout(REQUEST_SECONDS):
                await (self._renew() if self.leads_for() > 0.0 else self._acquire())
        except (Conflict, AlreadyExists):
            pass  # somebody was faster, and may hold it for as long as the record says
        except (ClusterError, TimeoutError) as error:
            self._failed(str(error) or f"no answer within {REQUEST_SECONDS:g} s")
            return
        self._problem = ""

    async def _renew(self) -> None:
        try:
            await self._take(self._lease or {})
        except Conflict:
            await self._look_again()
        except NotFound:  # somebody deleted it; whoever makes it anew holds it
            self._leads_until = 0.0
            await self._create()

    async def _look_again(self) -> None:
        """Find out who else wrote to our Lease: another holder, or somebody who only annotated it."""
        lease = await self._api.get(self._path())
        if holder_of(lease) == self._identity:
            await self._take(lease)
            return
        self._leads_until = 0.0
        self._observe(lease)

    async def _acquire(self) -> None:
        try:
            lease = await self._api.get(self._path())
        except NotFound:
            await self._create()
            return
        self._observe(lease)
        if self._is_free(lease):
            await self._take(lease)

    async def _create(self) -> None:
        sent = self._clock()
        body = new_lease(self._namespace, self._name, self._identity, self._now())
        self._taken((await self._api.create(LEASES.path(self._namespace), body)).object, sent)

    async def _take(self, lease: Json) -> None:
        sent = self._clock()
        answer = await self._api.replace(self._path(), held(lease, self._identity, self._now()))
        self._taken(answer.object, sent)

    def _taken(self, lease: Json, sent: float) -> None:
        self._lease, self._seen_at = lease, sent
        self._leads_until = sent + RENEW_SECONDS

    def _observe(self, lease: Json) -> None:
        """Take in a record; its time runs from when we first saw it so.

        Its version changes with each renewal, even one by a holder whose clock stands still.
        """
        if self._lease is None or _version(self._lease) != _version(lease):
            self._seen_at = self._clock()
        self._lease = lease

    def _is_free(self, lease: Json) -> bool:
        # Ours: a request of which no answer came had come through after all.
        if holder_of(lease) in ("", self._identity):
            return True
        return self._clock() - self._seen_at >= seconds_of(lease)

    def _path(self) -> str:
        return LEASES.path(self._namespace, self._name)

    def _tell(self) -> None:
        """Say it when it has changed."""
        leads = self.leads_for() > 0.0
        if leads != self._told:
            self._told = leads
            self._log.info("this replica writes now" if leads else "this replica writes no more")
            self._changed(leads)

    def _failed(self, problem: str) -> None:
        """Log why the Lease cannot be had, once for each reason."""
        if problem != self._problem:
            self._problem = problem
            self._log.warning("the lease can be neither taken nor renewed now", problem=problem)


def _version(lease: Json) -> Any:
    return lease["metadata"].get("resourceVersion")
