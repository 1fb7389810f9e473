"""Readiness asks whether what is published verifies what we serve: else every call to us fails.

| webhook configurations | a replica that has not been verified yet | one that has been |
| --- | --- | --- |
| absent, or none of their entries calls us | ready | ready |
| every caBundle verifies the certificate | ready | ready |
| some do not, or are empty | not ready | ready: some calls succeed, and without us none would |
| none does | not ready | not ready at the third look in a row |
| cannot be read | as before; ready if never read | as before |

A new replica can wait: those before it serve meanwhile, and a rollout with a wrong certificate stops there. One that is
in use leaves only where no call to it can succeed: others, that have the new certificate already, then get them all.
That it takes three looks (about 5 s) is for a certificate and a caBundle that change at nearly the same time.
An API server that cannot be read says nothing about whether it can call us, so that alone holds nobody back.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

import structlog

from webhook.kube.errors import ClusterError
from webhook.tls.bundle import Bundle
from webhook.tls.configurations import Configuration, Door, Entry, Registration, read_configurations
from webhook.tls.metrics import PublishedMetrics
from webhook.tls.verify import refusal

LOOK_SECONDS: Final = 10.0
_SOON_SECONDS: Final = 2.0
"""How soon to look again where something is wrong."""
_LOOKS: Final = 3


class Published:
    """Compares the published caBundles with the certificate in use, and says what is missing for readiness."""

    def __init__(
        self,
        door: Door,
        registration: Registration,
        serving: Callable[[], Bundle],
        metrics: PublishedMetrics,
        *,
        pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._door = door
        self._registration = registration
        self._serving = serving
        self._metrics = metrics
        self._pause = pause
        self._log = structlog.get_logger().bind()
        self._looked = False
        self._problem: str | None = None
        """What is wrong, whether or not it keeps us from being ready."""
        self._missing: str | None = None
        self._verified = False
        self._none_in_a_row = 0
        self._told = ""

    def missing(self) -> str | None:
        """Say why calls to this replica would fail, or None."""
        return self._missing if self._looked else "the published caBundle has not been looked at yet"

    async def start(self) -> None:
        """Look for the first time, so that readiness is known when the port is bound."""
        await self.look()

    async def run(self) -> None:
        """Look again and again, sooner where something is wrong."""
        while True:
            await self._pause(_SOON_SECONDS if self._problem else LOOK_SECONDS)
            await self.look()

    async def look(self) -> None:
        """Read what is published and judge it; where it cannot be read the last verdict stays."""
        try:
            configurations = await read_configurations(self._door, self._registration)
        except ClusterError as error:
            self._tell("the published caBundle cannot be read, the last verdict stays", str(error))
        else:
            self._judge(configurations)
        self._looked = True

    def _judge(self, configurations: Sequence[Configuration]) -> None:
        entries = [(configuration, entry) for configuration in configurations for entry in configuration.entries]
        problems = self._problems(entries)
        self._problem = problems[0] if problems else None
        self._metrics.judged(verifies=not problems)
        self._verified = self._verified or (bool(entries) and not problems)
        self._none_in_a_row = self._none_in_a_row + 1 if entries and len(problems) == len(entries) else 0
        stays = self._verified and self._none_in_a_row < _LOOKS
        self._missing = None if stays else self._problem
        if self._problem:
            self._tell("webhook calls fail", self._problem)
        elif self._told:
            self._told = ""
            self._log.info("the published caBundle verifies the certificate")

    def _problems(self, entries: Sequence[tuple[Configuration, Entry]]) -> list[str]:
        bundle = self._serving()
        refusals = {entry.bundle: self._refusal(bundle, entry.bundle) for _, entry in entries}
        return [
            f"{_where(configuration, entry)} {refusals[entry.bundle]}; webhook calls would fail"
            for configuration, entry in entries
            if refusals[entry.bundle]
        ]

    def _refusal(self, bundle: Bundle, ca_bundle: bytes) -> str | None:
        if not ca_bundle:
            return "is empty"
        reason = refusal(bundle, ca_bundle, self._registration.host)
        return f"does not verify the serving certificate (issuer {bundle.issuer}): {reason}" if reason else None

    def _tell(self, what: str, why: str) -> None:
        if why != self._told:
            self._told = why
            self._log.warning(what, reason=why)


def _where(configuration: Configuration, entry: Entry) -> str:
    return f"the caBundle published in {configuration} (webhook {entry.name})"
