"""An API server for certificates: one Secret, two webhook configurations, and any interleaving of their users."""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Callable, Coroutine, Generator
from copy import deepcopy
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any

import jsonpatch
from cryptography import x509
from cryptography.x509.verification import PolicyBuilder, Store, VerificationError

from webhook.kube.errors import AlreadyExists, ClusterError, Conflict, Forbidden, Invalid, NotFound
from webhook.kube.resources import MUTATING_WEBHOOKS, SECRETS, VALIDATING_WEBHOOKS
from webhook.observe import Metrics
from webhook.tls.authority import serving_names
from webhook.tls.bundle import Bundle
from webhook.tls.configurations import Registration
from webhook.tls.managed import Managed, ManagedCertificate
from webhook.tls.metrics import CertificateMetrics, ManagedMetrics
from webhook.tls.plan import Terms
from webhook.tls.state import State, certificates, decode, read_state

NOW = datetime(2030, 1, 1, tzinfo=UTC)
REGISTRATION = Registration("evenkeel", "evenkeel-webhook", "evenkeel-system")
TERMS = Terms(serving_names("evenkeel-webhook", "evenkeel-system", "cluster.local"), authority=timedelta(days=60))
SECRET = SECRETS.path("evenkeel-system", "evenkeel-webhook-tls")
MUTATING = MUTATING_WEBHOOKS.path(name="evenkeel")
VALIDATING = VALIDATING_WEBHOOKS.path(name="evenkeel")


class Turn:
    """Awaited before each call: whoever drives the coroutine decides when it goes on."""

    def __await__(self) -> Generator[Turn, None, None]:
        yield self


def drive(
    *coroutines: Coroutine[Any, Any, Any],
    choose: Callable[[int], int] = lambda _: 0,
    seen: Callable[[], None] = lambda: None,
) -> list[Any]:
    """Run coroutines to their ends, one call at a time, as `choose` (of how many) says; give results or errors."""
    results: list[Any] = [None] * len(coroutines)
    waiting = dict(enumerate(coroutines))
    while waiting:
        number = sorted(waiting)[choose(len(waiting))]
        try:
            waiting[number].send(None)
        except StopIteration as end:
            results[number] = end.value
            del waiting[number]
        except ClusterError as error:
            results[number] = error
            del waiting[number]
        seen()
    return results


async def rest(coroutine: Coroutine[Any, Any, Any]) -> None:
    """Give what is left of a coroutine that was driven by hand so far."""
    await _Resumed(coroutine)


class _Resumed:
    def __init__(self, coroutine: Coroutine[Any, Any, Any]) -> None:
        self._coroutine = coroutine

    def __await__(self) -> Generator[Any, None, None]:
        """Go on where somebody else has stopped driving."""
        while True:
            try:
                yield self._coroutine.send(None)
            except StopIteration:
                return


class Cluster:
    """The objects, their versions, the time, and what is forbidden or fails."""

    def __init__(self) -> None:
        self.now = NOW
        self.objects: dict[str, dict[str, Any]] = {}
        self.calls: list[tuple[str, str]] = []
        self.failures: dict[tuple[str, str], ClusterError] = {}
        self._version = 0

    async def get(self, path: str, **_params: Any) -> dict[str, Any]:
        """Read."""
        await self._called("get", path)
        if path not in self.objects:
            raise NotFound("get", path, "there is none")
        return deepcopy(self.objects[path])

    async def create(self, path: str, body: dict[str, Any], **_params: Any) -> None:
        """Create, once."""
        path = f"{path}/{body['metadata']['name']}"
        await self._called("create", path)
        if path in self.objects:
            raise AlreadyExists("create", path, "")
        self.put(path, body)

    async def replace(self, path: str, body: dict[str, Any], **_params: Any) -> None:
        """Replace the version that was read."""
        await self._called("update", path)
        if path not in self.objects:
            raise NotFound("update", path, "there is none")
        if body["metadata"]["resourceVersion"] != self.objects[path]["metadata"]["resourceVersion"]:
            raise Conflict("update", path, "it has changed")
        self.put(path, body)

    async def patch(self, path: str, body: Any, *, content_type: str = "", **_params: Any) -> None:
        """Apply a JSON patch, if its tests hold."""
        await self._called("patch", path)
        assert content_type == "application/json-patch+json"
        if path not in self.objects:
            raise NotFound("patch", path, "there is none")
        try:
            self.put(path, jsonpatch.apply_patch(self.objects[path], body))
        except jsonpatch.JsonPatchException as error:
            raise Invalid("patch", path, str(error)) from error

    async def pause(self, _seconds: float) -> None:
        """Wait as long as whoever drives wants."""
        await Turn()

    def put(self, path: str, body: dict[str, Any]) -> None:
        """Write an object as if by somebody else."""
        self._version += 1
        self.objects[path] = deepcopy(body)
        self.objects[path].setdefault("metadata", {})["resourceVersion"] = str(self._version)

    def install(self, *paths: str, bundle: str | None = None) -> None:
        """Create webhook configurations as they are shipped: two entries of ours, one of somebody else's Service."""
        for path in paths or (MUTATING, VALIDATING):
            webhooks = [_webhook("inject"), _webhook("other", service="someone"), _webhook("inject-pods")]
            for webhook in (webhooks[0], webhooks[2]):
                if bundle is not None:
                    webhook["clientConfig"]["caBundle"] = bundle
            self.put(path, {"metadata": {"name": "evenkeel"}, "webhooks": webhooks})

    def replica(self, terms: Terms = TERMS, **named: Any) -> ManagedCertificate:
        """Give one more replica."""
        metrics = Metrics()
        return ManagedCertificate(
            self,
            Managed("evenkeel-webhook-tls", REGISTRATION, terms, named.pop("client_ca", None)),
            CertificateMetrics(metrics.registry),
            named.pop("metrics", None) or ManagedMetrics(metrics.registry),
            now=lambda: self.now,
            pause=self.pause,
            **named,
        )

    @property
    def state(self) -> State:
        """Give what the Secret says."""
        return read_state(decode(self.objects[SECRET]["data"]))

    def bundles(self) -> list[bytes]:
        """Give what is published for us."""
        return [
            b64decode(webhook["clientConfig"].get("caBundle", ""))
            for path in (MUTATING, VALIDATING)
            for webhook in self.objects.get(path, {}).get("webhooks", [])
            if webhook["clientConfig"]["service"]["name"] == "evenkeel-webhook"
        ]

    def accepts(self, bundle: Bundle) -> bool:
        """Say whether API servers accept a certificate at this time."""
        return all(verifies(published, bundle, self.now) for published in self.bundles())

    async def _called(self, verb: str, path: str) -> None:
        await Turn()
        self.calls.append((verb, path))
        if (verb, path) in self.failures:
            raise self.failures[verb, path]


def verifies(published: bytes, bundle: Bundle, now: datetime) -> bool:
    """Say whether a CA bundle verifies a certificate for our Service, as a strict verifier sees it."""
    return _verifies(published, bundle.content.certificate, now)


@lru_cache(4096)
def _verifies(published: bytes, leaf: bytes, now: datetime) -> bool:
    trusted = certificates(published)
    if not trusted:
        return False
    verifier = PolicyBuilder().store(Store(trusted)).time(now).build_server_verifier(x509.DNSName(REGISTRATION.host))
    try:
        verifier.verify(x509.load_pem_x509_certificate(leaf), [])
    except VerificationError:
        return False
    return True


def forbidden(verb: str, path: str) -> ClusterError:
    """Give what the API server answers where RBAC is too small."""
    return Forbidden(verb, path, "the account may not", status=403)


def _webhook(name: str, service: str = "evenkeel-webhook") -> dict[str, Any]:
    return {
        "name": f"{name}.evenkeel.dev",
        "clientConfig": {"service": {"name": service, "namespace": "evenkeel-system", "path": "/mutate"}},
    }
