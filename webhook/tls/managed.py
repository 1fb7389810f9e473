"""Certificates of our own: one CA in one Secret for all replicas, its bundle in the webhook configurations.

Each look reads the webhook configurations, then the Secret, changes the Secret if its plan says so, publishes its
bundle, and only then serves its leaf. Two things follow from that order:

- a leaf is served by nobody before the bundle that verifies it is published;
- an old bundle is never written over a newer one: a patch applies only to the version of the configuration that was
  read *before* the Secret, so whoever published something newer since then is found out.

The Secret is read again and again instead of watched: that takes no more than `get`, needs no list to begin with and
cannot break unseen. A renewal has days; the 5 s are for a caBundle that somebody overwrote: calls fail until then.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import structlog

from webhook.core.errors import SettingsError
from webhook.kube.errors import AlreadyExists, ClusterError, Conflict, Invalid, NotFound, Unreachable
from webhook.kube.resources import SECRETS
from webhook.tls.bundle import Content, utc_now
from webhook.tls.configurations import (
    JSON_PATCH,
    Configuration,
    Door,
    Registration,
    published_authorities,
    publishes,
    read_configurations,
)
from webhook.tls.context import LiveContext
from webhook.tls.files import read_file
from webhook.tls.metrics import CertificateMetrics, HandshakeMetrics, ManagedMetrics
from webhook.tls.plan import Plan, Terms, carry_out, plan
from webhook.tls.serving import Serving
from webhook.tls.state import State, decode, encode, read_state, write_state

LOOK_SECONDS: Final = 5.0
_TRIES: Final = 5
_LONGEST_WAIT: Final = 30.0
_CERT_MANAGER: Final = "cert-manager.io/"


@dataclass(frozen=True, slots=True)
class Managed:
    """What a self-managed certificate is made of."""

    secret: str
    """The name of the Secret, in the namespace of the registration."""
    registration: Registration
    terms: Terms
    client_ca: Path | None = None


class ManagedCertificate:
    """A CertificateSource that makes, renews and publishes its own; any number of replicas may do so at once."""

    def __init__(
        self,
        door: Door,
        managed: Managed,
        certificate: CertificateMetrics,
        metrics: ManagedMetrics,
        *,
        handshakes: HandshakeMetrics | None = None,
        now: Callable[[], datetime] = utc_now,
        pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._door = door
        self._managed = managed
        self._metrics = metrics
        self._now = now
        self._pause = pause
        self._serving = Serving(certificate, now, handshakes)
        self._known: State | None = None
        self._client_ca: bytes | None = None
        self._absent = False
        self._told = ""
        self._log = structlog.get_logger().bind()

    @property
    def live(self) -> LiveContext:
        """Give the TLS of the listener."""
        return self._serving.live

    def missing(self) -> str | None:
        """Say why there is no good certificate in use, or None."""
        return self._serving.missing()

    async def start(self) -> None:
        """Get the first certificate, waiting for an API server that does not answer.

        Raises SettingsError if the CAs of callers cannot be read, ClusterError if the API server refuses us.
        """
        self._client_ca = self._read_client_ca(required=True)
        wait = 0.5
        while self._serving.bundle is None:
            try:
                await self.look()
            except (Unreachable, Conflict, AlreadyExists) as error:
                wait = max(min(wait * 2, _LONGEST_WAIT), error.retry_after or 0)
                self._tell("no certificate yet, trying again", str(error))
                await self._pause(_about(wait))

    async def run(self, seconds: float = LOOK_SECONDS) -> None:
        """Look again and again; what cannot be done now is told once and tried at the next look."""
        while True:
            # Not all replicas at the same moment, so that a renewal by one is seen by the others before they try.
            await self._pause(_about(seconds))
            try:
                await self.look()
            except ClusterError as error:
                self._tell("certificates could not be looked after", str(error))
            else:
                self._told = ""

    async def look(self) -> None:
        """Bring Secret, webhook configurations and what is served to where they should be; raises ClusterError."""
        try:
            for left in reversed(range(_TRIES)):
                try:
                    return await self._look()
                except (Conflict, AlreadyExists):
                    # Somebody was faster: what is there now may need nothing more of us.
                    self._metrics.conflict()
                    if not left:
                        raise
        except ClusterError:
            self._metrics.failed()
            raise

    async def _look(self) -> None:
        configurations = await read_configurations(self._door, self._managed.registration)
        self._tell_absence(configurations)
        state = await self._secret(configurations)
        signing = state.signing.certificate
        self._metrics.authority(signing.not_valid_before_utc.timestamp(), signing.not_valid_after_utc.timestamp())
        found, failure = await self._publish(configurations, state.bundle)
        if publishes(found, signing):
            self._serve(state)
        if failure is not None:
            raise failure

    async def _secret(self, configurations: tuple[Configuration, ...]) -> State:
        """Give what the Secret says, after having written what it should say."""
        found = await self._read_secret()
        terms, now = self._managed.terms, self._now()
        content = None if found is None else decode(found.get("data"))
        todo = plan(
            content, now, terms, published=lambda authority: publishes(configurations, authority), known=self._known
        )
        if content is not None and not todo.steps:
            self._known = read_state(content)
            return self._known
        state = carry_out(todo, now, terms, carried=published_authorities(configurations))
        await self._write_secret(found, state)
        self._known = state
        self._tell_steps(todo, state)
        return state

    async def _read_secret(self) -> dict[str, Any] | None:
        try:
            return await self._door.get(SECRETS.path(self._namespace, self._managed.secret))
        except NotFound:
            return None

    async def _write_secret(self, found: dict[str, Any] | None, state: State) -> None:
        data = encode(write_state(state))
        if found is None:
            metadata = {"name": self._managed.secret, "namespace": self._namespace}
            labels = {"app.kubernetes.io/name": "evenkeel", "app.kubernetes.io/component": "webhook"}
            fresh = {"type": "kubernetes.io/tls", "metadata": {**metadata, "labels": labels}, "data": data}
            await self._door.create(SECRETS.path(self._namespace), {"apiVersion": "v1", "kind": "Secret", **fresh})
        else:
            # With the version that was read: if it is another by now, somebody else has decided.
            taken = {**found, "metadata": self._without_stranger(found["metadata"]), "data": data}
            await self._door.replace(SECRETS.path(self._namespace, self._managed.secret), taken)

    def _without_stranger(self, metadata: dict[str, Any]) -> dict[str, Any]:
        """Take cert-manager's marks off a Secret, so that they are there again only if it goes on writing."""
        annotations = metadata.get("annotations") or {}
        theirs = {key for key in annotations if key.startswith(_CERT_MANAGER)}
        if not theirs:
            return metadata
        name = annotations.get(f"{_CERT_MANAGER}certificate-name", "")
        remedy = "delete that Certificate, or both of us write by turns"
        self._log.warning("cert-manager wrote our Secret", certificate=name, remedy=remedy)
        return {**metadata, "annotations": {key: annotations[key] for key in annotations.keys() - theirs}}

    async def _publish(
        self, configurations: tuple[Configuration, ...], bundle: bytes
    ) -> tuple[list[Configuration], ClusterError | None]:
        """Give each configuration the bundle; give them as they are then, and what went wrong with one."""
        found: list[Configuration] = []
        failure: ClusterError | None = None
        for configuration in configurations:
            try:
                found.append(await self._publish_one(configuration, bundle))
            except (Conflict, NotFound) as error:
                raise Conflict(error.verb, error.path, error.message) from error
            except ClusterError as error:
                found.append(configuration)
                failure = error
        return found, failure

    async def _publish_one(self, configuration: Configuration, bundle: bytes) -> Configuration:
        operations = configuration.operations(bundle)
        if not operations:
            return configuration
        try:
            await self._door.patch(configuration.path, operations, content_type=JSON_PATCH)
        except Invalid as error:
            # This is how the API server says that a `test` did not hold.
            raise Conflict(
                error.verb, error.path, f"it was changed meanwhile, or is no longer valid: {error.message}"
            ) from error
        self._metrics.written(configuration.resource.kind)
        empty = not all(entry.bundle for entry in configuration.entries)
        self._log.info("caBundle written", configuration=str(configuration), was="empty" if empty else "another")
        return configuration.with_bundle(bundle)

    def _serve(self, state: State) -> None:
        if state.leaf is not None:
            self._client_ca = self._read_client_ca(required=False)
            self._serving.offer(Content(state.leaf.pem, state.leaf.key, self._client_ca))

    def _read_client_ca(self, *, required: bool) -> bytes | None:
        """Read the CAs of callers; once begun, a file that cannot be read leaves those in use."""
        if self._managed.client_ca is None:
            return None
        problems: list[str] = []
        content = read_file("client_ca", self._managed.client_ca, problems)
        if not problems:
            return content
        if required:
            raise SettingsError(problems)
        self._serving.refused("; ".join(problems), tuple(problems))
        return self._client_ca

    @property
    def _namespace(self) -> str:
        return self._managed.registration.namespace

    def _tell_steps(self, todo: Plan, state: State) -> None:
        for step in todo.steps:
            self._metrics.changed(step.code)
            self._log.info(
                "certificate Secret written",
                secret=self._managed.secret,
                step=step.code.value,
                reason=step.reason,
                authorities=len(state.authorities),
            )

    def _tell_absence(self, configurations: tuple[Configuration, ...]) -> None:
        absent = not any(configuration.entries for configuration in configurations)
        if absent and not self._absent:
            name = self._managed.registration.configuration
            self._log.warning("no webhook configuration calls us yet; its caBundle will be written", configuration=name)
        self._absent = absent

    def _tell(self, what: str, error: str) -> None:
        if error != self._told:
            self._told = error
            self._log.error(what, error=error)


def _about(seconds: float) -> float:
    return seconds * random.uniform(0.8, 1.2)  # noqa: S311 - to spread, not to hide
