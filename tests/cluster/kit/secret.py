"""Evenkeel's certificate Secret as tests look at it and age it."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from tests.cluster.kit.calls import FAIL_OPENS
from tests.cluster.kit.install import NAMESPACE, WEBHOOK, XDS, Installed, total
from tests.cluster.kit.rest import Rest, RestError
from tests.cluster.kit.world import World
from webhook.compose.certificate import terms
from webhook.settings import Settings
from webhook.tls.authority import Pair, issue, make_authority
from webhook.tls.state import State, decode, encode, read_state, write_state

SECRET: Final = f"/api/v1/namespaces/{NAMESPACE}/secrets/evenkeel-webhook-tls"
HOOKS: Final = "/apis/admissionregistration.k8s.io/v1"
CONFIGURATIONS: Final = ("mutatingwebhookconfigurations/evenkeel", "validatingwebhookconfigurations/evenkeel")
_NAMES: Final = terms(Settings()).names
_PORTS: Final = {WEBHOOK: Settings().port, XDS: Settings().sidecar.xds_port}
_CONFLICT: Final = 409
_LEAF: Final = timedelta(hours=168)
_AUTHORITY: Final = timedelta(days=365)


def made_ago(authority: timedelta, leaf: timedelta) -> State:
    """Give what an installation has whose CA and leaf were made so long ago, with the shipped lifetimes."""
    now = datetime.now(UTC)
    signing = make_authority(now - authority, _AUTHORITY)
    return State(signing, leaf_made_ago(signing, leaf))


def leaf_made_ago(signing: Pair, age: timedelta) -> Pair:
    """Make a leaf as it was made so long ago."""
    return issue(signing, _NAMES, datetime.now(UTC) - age, _LEAF)


async def stored(rest: Rest) -> State:
    """Read the Secret."""
    return read_state(decode((await rest.get(SECRET))["data"]))


async def rewrite(rest: Rest, change: Callable[[State], State]) -> State:
    """Change the Secret's content as it stands; again where a replica has written meanwhile."""
    while True:
        found = await rest.get(SECRET)
        state = change(read_state(decode(found["data"])))
        try:
            await rest.put(SECRET, {**found, "data": encode(write_state(state))})
        except RestError as error:
            if error.status != _CONFLICT:
                raise
        else:
            return state


def earlier(state: State, by: timedelta) -> State:
    """Give a state whose waits have begun earlier: as if that much time had passed."""
    published = state.published - by if state.published else None
    return replace(state, published=published, until=state.until - by if state.until else None)


async def served(evenkeel: Installed, deployment: str = WEBHOOK) -> set[bytes]:
    """Give the certificates (DER) that the live replicas show, each once."""
    return {await _shown(one.address, _PORTS[deployment]) for one in evenkeel.replicas(deployment)}


async def bundles(rest: Rest) -> list[Any]:
    """Give the caBundle of each of our webhooks."""
    found = [await rest.get(f"{HOOKS}/{name}") for name in CONFIGURATIONS]
    return [webhook["clientConfig"].get("caBundle") for one in found for webhook in one["webhooks"]]


async def generations(rest: Rest) -> list[int]:
    """Give how often each webhook configuration was written: 1 is its creation."""
    found = [await rest.get(f"{HOOKS}/{name}") for name in CONFIGURATIONS]
    return [one["metadata"]["generation"] for one in found]


def der(certificate: x509.Certificate) -> bytes:
    """Give a certificate as it is shown in a handshake."""
    return certificate.public_bytes(Encoding.DER)


async def fail_opens(world: World) -> float:
    """Give how often the API server created a Pod without the answer it asked us for."""
    return total(await world.plane.metrics(), FAIL_OPENS, name="inject.evenkeel.dev")


async def _shown(address: str, port: int) -> bytes:
    pem = await asyncio.to_thread(ssl.get_server_certificate, (address, port), timeout=5)
    return ssl.PEM_cert_to_DER_cert(pem)
