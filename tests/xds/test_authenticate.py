"""Who a client of the control plane is, and what it gets where it cannot say so."""

from __future__ import annotations

import asyncio
from typing import Any

import grpc
import pytest
import structlog
from envoy.config.core.v3 import base_pb2

from tests.kube.kit import running, until
from tests.xds.auth import NOW, Cluster, Door, believed, jwt, refused, user
from webhook.xds.client import Client, NotServed
from webhook.xds.identity import Identity
from webhook.xds.reviews import read_review

FRONT = Identity("shop", "front-1", "node-a", "z1")
RESULTS = "evenkeel_xds_authentications_total"
REVIEWS = "evenkeel_xds_token_reviews_total"


async def why(door: Door, token: str | None, node: Any = None) -> tuple[grpc.StatusCode, str]:
    """Come, and give how one was turned away."""
    with pytest.raises(NotServed) as caught:
        await door.asks(token, node)
    return caught.value.status, str(caught.value)


@pytest.mark.parametrize("form", ["{}", "Bearer {}", "bearer {}"])
async def test_a_pod_is_who_its_token_says(form: str) -> None:
    """With the zone of its node."""
    door = Door(Cluster())
    async with running(door.authenticator.run()):
        client = await door.asks(form.format(jwt()))

    assert client == Client(FRONT, 3240.0)
    assert door.metric(RESULTS, result="admitted") == 1


async def test_a_token_is_reviewed_once_in_five_minutes() -> None:
    """Clients that reconnect cost the API server nothing."""
    cluster = Cluster()
    door = Door(cluster)
    async with running(door.authenticator.run()):
        for passed in (0, 100, 199):
            door.now = NOW + passed
            await door.asks(jwt())
        before = len(cluster.reviewed)
        door.now = NOW + 301
        await door.asks(jwt())

    assert (before, len(cluster.reviewed)) == (1, 2)


async def test_a_thousand_clients_at_once_are_a_queue_for_the_api_server() -> None:
    """After a restart all of them come in one second; two of a Pod share one review."""
    cluster = Cluster()
    cluster.held = asyncio.Event()
    tokens = [jwt(jti=str(n // 2)) for n in range(1000)]
    door = Door(cluster, at_once=7)
    async with running(door.authenticator.run()):
        clients = [asyncio.create_task(door.asks(token)) for token in tokens]
        await until(lambda: cluster.under_way == 7)
        cluster.held.set()
        found = await asyncio.gather(*clients)

    assert {client.identity for client in found} == {FRONT}
    assert (len(cluster.reviewed), cluster.most_under_way) == (500, 7)


MANY = {
    "no token": (None, "missing", "there is no token in the metadata `authorization`"),
    "garbage": ("gar.ba", "malformed", "the token cannot be read: it is no JSON web token"),
    "for ever": (jwt({"aud": ["evenkeel-xds"]}), "malformed", "the token cannot be read: it never expires"),
    "of the API server": (jwt(aud=["https://kubernetes.default.svc"]), "wrong-audience", "is not for evenkeel-xds"),
    "expired": (jwt(exp=NOW - 61), "expired", "the token has expired, 61 s ago by the clock here"),
    "expired this moment": (jwt(exp=NOW), "expired", "the token has expired"),
}


@pytest.mark.parametrize(("token", "reason", "sentence"), MANY.values(), ids=MANY.keys())
async def test_what_is_plainly_no_good_costs_the_api_server_nothing(
    token: str | None, reason: str, sentence: str
) -> None:
    """Each is told what is wrong with it."""
    cluster = Cluster()
    door = Door(cluster)

    status, told = await why(door, token)

    assert status is grpc.StatusCode.UNAUTHENTICATED
    assert sentence in told
    assert door.metric(RESULTS, result=reason) == 1
    assert cluster.reviewed == []


JUDGED = {
    "expired, by the API server's clock": (
        refused("[invalid bearer token, service account token has expired]"),
        "expired",
        "the token has expired",
    ),
    "of a Pod that was deleted": (
        refused('[invalid bearer token, pods "x" not found]'),
        "not-believed",
        'the API server does not believe the token: [invalid bearer token, pods "x" not found]',
    ),
    "not believed, without a word": ({}, "not-believed", "the API server does not believe the token"),
    "by an authenticator without audiences": (believed() | {"audiences": []}, "wrong-audience", "not for evenkeel-xds"),
    "of a service account alone": (believed(pod=""), "not-a-pod", "is that of system:serviceaccount:shop:front, not"),
    "of a person": (
        believed() | {"user": user() | {"username": "jane"}},
        "not-a-pod",
        "the token is that of jane, not of a Pod",
    ),
    "of a service account of no namespace": (
        believed() | {"user": user() | {"username": "system:serviceaccount::x"}},
        "not-a-pod",
        "not of a Pod",
    ),
    "of nobody": (believed() | {"user": None}, "not-a-pod", "the token is that of nobody, not of a Pod"),
}


@pytest.mark.parametrize(("status", "reason", "sentence"), JUDGED.values(), ids=JUDGED.keys())
async def test_what_the_api_server_does_not_vouch_for_is_refused(status: Any, reason: str, sentence: str) -> None:
    """And is not shown to it again for a while, however often the client comes."""
    cluster = Cluster(verdicts={jwt(): status})
    door = Door(cluster)
    async with running(door.authenticator.run()):
        found = [await why(door, jwt()) for _ in range(5)]
        once = len(cluster.reviewed)
        door.now += 11
        await why(door, jwt())

    assert {code for code, _ in found} == {grpc.StatusCode.UNAUTHENTICATED}
    assert sentence in found[0][1]
    assert (once, len(cluster.reviewed)) == (1, 2)
    assert door.metric(RESULTS, result=reason) == 6
    assert door.metric(REVIEWS, result="refused") == 2


async def test_a_refused_token_that_turns_out_well_is_believed() -> None:
    """Such as that of a Pod which the API server we asked had not heard of."""
    cluster = Cluster(verdicts={jwt(): refused()})
    door = Door(cluster)
    async with running(door.authenticator.run()):
        await why(door, jwt())
        del cluster.verdicts[jwt()]
        door.now += 11

        assert (await door.asks(jwt())).identity == FRONT
        assert (await door.asks(jwt())).identity == FRONT


async def test_a_believed_token_that_is_taken_back_is_refused() -> None:
    """Its Pod was deleted: at the next review it is out, and an API server that is gone does not bring it back."""
    cluster = Cluster()
    door = Door(cluster)
    async with running(door.authenticator.run()):
        await door.asks(jwt())
        cluster.verdicts[jwt()] = refused()
        door.now += 301
        await why(door, jwt())
        cluster.gone = True
        door.now += 11
        status, _ = await why(door, jwt())

    assert status is grpc.StatusCode.UNAVAILABLE


async def test_without_an_api_server_who_was_believed_still_is() -> None:
    """Until the token expires; who is new comes again later, and is never let in unseen."""
    cluster = Cluster()
    door = Door(cluster)
    async with running(door.authenticator.run()):
        await door.asks(jwt())
        cluster.gone = True
        door.now = NOW + 3000
        known = await door.asks(jwt())
        newcomer = await why(door, jwt(jti="new"))
        door.now = NOW + 3241
        late = await why(door, jwt())

    assert known.identity == FRONT
    assert newcomer[0] is grpc.StatusCode.UNAVAILABLE
    assert late[0] is grpc.StatusCode.UNAUTHENTICATED
    assert "come again" in newcomer[1]
    assert door.metric("evenkeel_xds_tokens_believed_unreviewed_total") == 1
    assert door.metric(RESULTS, result="unavailable") == 1


async def test_an_api_server_that_says_nothing_is_one_that_is_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who was believed waits a moment, who is new a little longer."""
    monkeypatch.setattr("webhook.xds.authenticate._KNOWN_WAIT_SECONDS", 0.01)
    monkeypatch.setattr("webhook.xds.authenticate._WAIT_SECONDS", 0.02)
    cluster = Cluster()
    door = Door(cluster)
    async with running(door.authenticator.run()):
        await door.asks(jwt())
        cluster.held = asyncio.Event()
        door.now += 301

        assert (await door.asks(jwt())).identity == FRONT
        assert (await why(door, jwt(jti="new")))[0] is grpc.StatusCode.UNAVAILABLE


async def test_a_review_that_hangs_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """It would hold one of few places for half a minute."""
    monkeypatch.setattr("webhook.xds.reviews._SECONDS", 0.01)
    cluster = Cluster()
    cluster.held = asyncio.Event()
    door = Door(cluster)
    async with running(door.authenticator.run()):
        assert (await why(door, jwt()))[0] is grpc.StatusCode.UNAVAILABLE
    assert door.metric(REVIEWS, result="failed") == 1
    assert cluster.under_way == 0


@pytest.mark.parametrize(
    ("issued", "expires", "earliest", "latest"),
    [
        (NOW, NOW + 3600, 3240, 3600),
        (NOW - 1800, NOW + 1800, 1440, 1800),
        (NOW - 3500, NOW + 100, 50, 100),
        (NOW - 3600, NOW + 0.5, 0.5, 1.0),
    ],
    ids=["new", "half over", "nearly over", "over"],
)
async def test_a_stream_ends_in_the_last_tenth_of_its_token_s_life(
    issued: float, expires: float, earliest: float, latest: float
) -> None:
    """Not all at once; and by then a kubelet has written another token."""
    door = Door(Cluster())
    token = jwt(iat=issued, exp=expires)
    found = []
    async with running(door.authenticator.run()):
        for door.dice in (0.0, 1.0):
            found.append((await door.asks(token)).seconds)

    assert found == [pytest.approx(latest), pytest.approx(earliest)]


def node(namespace: str = "", name: str = "") -> base_pb2.Node:
    """Make the node of a first request."""
    made = base_pb2.Node(id=name)
    if namespace:
        made.metadata["namespace"] = namespace
    return made


@pytest.mark.parametrize("claimed", [node("open"), node(name="front.1.open"), node("open", "front.closed")])
async def test_where_the_operator_allows_it_a_client_without_a_token_is_of_the_namespace_that_it_names(
    claimed: base_pb2.Node,
) -> None:
    """By its node's metadata, or else by its id."""
    cluster = Cluster()
    door = Door(cluster, unauthenticated=frozenset({"open"}))

    client = await door.asks(None, claimed)

    assert client.identity.namespace == "open"
    assert (client.identity.node, client.identity.zone) == ("", "")
    assert 3000 < client.seconds <= 3600
    assert door.metric(RESULTS, result="unauthenticated") == 1
    assert cluster.reviewed == []


@pytest.mark.parametrize("claimed", [node(), node("closed"), node(name="open"), node("closed", "x.open")])
async def test_a_client_without_a_token_of_any_other_namespace_is_refused(claimed: Any) -> None:
    """Nor is one let in that names none, or two."""
    door = Door(Cluster(), unauthenticated=frozenset({"open"}))

    assert (await why(door, None, claimed))[0] is grpc.StatusCode.UNAUTHENTICATED


async def test_a_refusal_is_logged_once_for_each_client_and_reason() -> None:
    """By its address without the port; and again after an hour."""
    door = Door(Cluster())
    with structlog.testing.capture_logs() as logs:
        for port in range(20):
            for peer in ("ipv4:10.0.0.7", "ipv6:[::1]"):
                for token in (None, "bad"):
                    with pytest.raises(NotServed):
                        await door.asks(token, peer=f"{peer}:{port}")
        first = [(line["client"], line["reason"]) for line in logs]
        door.now += 3601
        await why(door, None)

    assert sorted(first) == [
        ("ipv4:10.0.0.7", "malformed"),
        ("ipv4:10.0.0.7", "missing"),
        ("ipv6:[::1]", "malformed"),
        ("ipv6:[::1]", "missing"),
    ]
    assert len(logs) == 5
    assert door.metric(RESULTS, result="missing") == 41


async def test_clients_cannot_flood_the_log() -> None:
    """Nor write anything but one short line into it."""
    door = Door(Cluster())
    with structlog.testing.capture_logs() as logs:
        await why(door, None, node(name="evil\n" * 1000))
        for number in range(1500):
            await why(door, None, node(name=str(number)))

    assert len(logs) == 1001
    assert logs[-1]["event"] == "more clients are refused; for an hour they are only counted"
    assert len(logs[0]["client"]) <= 256
    assert "\n" not in logs[0]["client"]
    assert door.metric(RESULTS, result="missing") == 1501


async def test_no_log_line_and_no_answer_has_the_token() -> None:
    """Whoever reads the log could come with it."""
    cluster = Cluster(verdicts={jwt(): refused()})
    door = Door(cluster)
    with structlog.testing.capture_logs() as logs:
        async with running(door.authenticator.run()):
            told = [await why(door, jwt()), await why(door, jwt() + "!"), await why(door, f"Basic {jwt()}")]

    assert jwt().split(".")[2] not in f"{logs}{told}"
    assert len(logs) == 2


@pytest.mark.parametrize("review", [{}, {"status": None}, {"status": {"authenticated": "yes"}}])
def test_an_answer_that_says_nothing_vouches_for_nobody(review: Any) -> None:
    """Only a plain true counts."""
    assert read_review(review).identity is None


def test_the_node_is_not_known_to_older_api_servers() -> None:
    """The client is then without a zone."""
    verdict = read_review({"status": believed(node="")})

    assert verdict.identity == Identity("shop", "front-1", "")


async def test_it_is_ready_once_the_api_server_judges_and_says_until_then_what_is_missing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A replica without the right to ask would turn away everybody; one that had it once goes on without."""
    monkeypatch.setattr("webhook.xds.authenticate._TRY_SECONDS", 0.001)
    cluster = Cluster(gone=True)
    door = Door(cluster)
    with structlog.testing.capture_logs() as logs:
        async with running(door.authenticator.run()):
            first = door.authenticator.missing()
            await until(lambda: "refused" in str(door.authenticator.missing()))
            second = door.authenticator.missing()
            cluster.gone = False
            await until(lambda: door.authenticator.missing() is None)
            cluster.gone = True
            await why(door, jwt())

    assert first == "tokens cannot be reviewed: none has been reviewed yet"
    assert str(second).startswith(
        "tokens cannot be reviewed: POST /apis/authentication.k8s.io/v1/tokenreviews: no answer"
    )
    assert door.authenticator.missing() is None
    assert [line["event"] for line in logs] == [
        "tokens cannot be reviewed",
        "tokens cannot be reviewed",
        "client refused",
    ]
    assert door.metric(REVIEWS, result="failed") == 1
