"""The demo's tokens, judged by the control plane's own authentication."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager

import pytest
from prometheus_client import CollectorRegistry

from webhook.core import names
from webhook.demo.tokens import NODE, Tokens
from webhook.xds.authenticate import Authenticator
from webhook.xds.refusals import Refusal, Refusals, Refused
from webhook.xds.reviews import ReviewMetrics, Reviews
from webhook.xds.zones import Zones

POD = {"metadata": {"namespace": "hoge", "name": "hoge-gateway-1", "uid": "1"}}
OTHER = {"metadata": {"namespace": "hoge", "name": "hoge-gateway-2", "uid": "2"}}
PEER = "ipv4:10.244.0.7:41234"


@asynccontextmanager
async def authenticator(tokens):
    """Run the authentication of `evenkeel xds` with these tokens behind it."""
    metrics, registry = ReviewMetrics(CollectorRegistry()), CollectorRegistry()
    made = Authenticator(Reviews(tokens, metrics), Zones(tokens), Refusals(registry), metrics)
    running = asyncio.create_task(made.run())
    yield made
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


def token(tokens, pod):
    """Give what the node writes into a Pod's volume."""
    metadata = pod["metadata"]
    return tokens.of_pods[metadata["namespace"], metadata["uid"]][names.TOKEN_AUDIENCE]


@pytest.mark.parametrize("scheme", ["", "Bearer "])
async def test_a_pod_is_known_by_its_token(scheme):
    """By name, namespace and node, as an API server would say; raw as Envoy sends it, or after the scheme."""
    tokens = Tokens()
    tokens.issue(POD)
    tokens.issue(OTHER)

    async with authenticator(tokens) as authenticate:
        client = await authenticate({"authorization": scheme + token(tokens, POD)}, PEER)

    assert ("hoge", "hoge-gateway-1", NODE, "") == (
        client.identity.namespace,
        client.identity.pod,
        client.identity.node,
        client.identity.zone,
    )


async def test_a_pod_that_is_gone_and_a_token_that_nobody_issued_are_refused():
    """Its token dies with it, and one cannot be made up of another's first parts."""
    tokens = Tokens()
    tokens.issue(POD)
    tokens.issue(OTHER)
    gone, forged = token(tokens, POD), token(tokens, OTHER).rpartition(".")[0] + ".x"
    tokens.revoke(POD)

    async with authenticator(tokens) as authenticate:
        for text in (gone, forged):
            with pytest.raises(Refused) as caught:
                await authenticate({"authorization": text}, PEER)
            assert Refusal.NOT_BELIEVED is caught.value.refusal


def test_what_was_never_issued_is_revoked_without_complaint():
    """A Pod may end before it has begun."""
    tokens = Tokens()
    tokens.revoke(POD)

    assert {} == tokens.of_pods
