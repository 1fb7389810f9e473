"""One stream: what follows on which request, by variant."""

from __future__ import annotations

from typing import Any

import pytest
from envoy.service.discovery.v3 import discovery_pb2

from tests.xds.simulators import ME, Shelf, resource
from webhook.xds.limits import Limits
from webhook.xds.session import Delta, Malformed, Refused, Session, StateOfTheWorld, TooMuch
from webhook.xds.source import CDS, EDS, LDS, ORDER, RDS


class Kit:
    """A session over shelves, spoken to in messages."""

    def __init__(self, kind: type[Session], limits: Limits | None = None, **contents: str) -> None:
        self.shelves = {type_url: Shelf() for type_url in ORDER}
        for name, content in contents.items():
            for shelf in self.shelves.values():
                shelf.put(name, content)
        self.session = kind(ME, self.shelves, limits)

    def put(self, type_url: str, name: str, content: str | None, since: float = 0.0) -> None:
        """Change a resource that the client wants."""
        self.shelves[type_url].put(name, content)
        self.session.changed(type_url, name, since)

    def ask(self, type_url: str = EDS, *names: str, nonce: str = "", error: str = "", **fields: Any) -> Any:
        """Send a request of either variant."""
        if isinstance(self.session, Delta):
            request: Any = discovery_pb2.DeltaDiscoveryRequest(resource_names_subscribe=names, **fields)
        else:
            request = discovery_pb2.DiscoveryRequest(resource_names=names, **fields)
        request.type_url, request.response_nonce = type_url, nonce
        if error:
            request.error_detail.message = error
        return self.session.receive(request.SerializeToString())

    def told(self) -> Any:
        """Give the next response, or None."""
        made = self.session.take()
        if made is None:
            return None
        kind = "DeltaDiscoveryResponse" if isinstance(self.session, Delta) else "DiscoveryResponse"
        return getattr(discovery_pb2, kind).FromString(made.body)

    def contents(self) -> list[str] | None:
        """Give what the next response tells, and take it."""
        response = self.told()
        if response is None:
            return None
        self.ask(response.type_url, *self.names(response.type_url), nonce=response.nonce)
        return bodies(response)

    def names(self, type_url: str) -> list[str]:
        """Give the names that a request of the state of the world repeats."""
        wanted = [name for each, name in self.session.wanted if each == type_url]
        return [] if isinstance(self.session, Delta) else wanted


def bodies(response: Any) -> list[str]:
    """Give the contents of a response's resources."""
    found = [getattr(each, "resource", each) for each in response.resources]
    return [each.value.decode() for each in found]


BOTH = pytest.mark.parametrize("kind", [StateOfTheWorld, Delta])


@BOTH
@pytest.mark.parametrize("type_url", [EDS, CDS])
def test_a_client_is_told_what_it_asks_for_and_then_what_changes(kind: type[Session], type_url: str) -> None:
    """And nothing else."""
    kit = Kit(kind, a="1", b="1")

    assert kit.ask(type_url, "a") == (type_url, ["a"], [], None)
    assert kit.contents() == ["a=1"]
    assert kit.contents() is None
    kit.put(type_url, "a", "2")
    assert kit.contents() == ["a=2"]
    assert kit.contents() is None


@BOTH
def test_at_most_one_response_of_a_type_is_unanswered(kind: type[Session]) -> None:
    """Who never answers is told nothing more of it, and of other types as before."""
    kit = Kit(kind, a="1")
    kit.ask(EDS, "a")
    first = kit.told()
    for content in ("2", "3", "4"):
        kit.put(EDS, "a", content)

    assert kit.told() is None
    assert kit.session.waits
    kit.ask(CDS, "a")
    assert kit.contents() == ["a=1"]
    kit.ask(EDS, *kit.names(EDS), nonce=first.nonce)
    assert kit.contents() == ["a=4"]
    assert not kit.session.waits


@BOTH
def test_a_change_that_comes_to_nothing_is_not_told(kind: type[Session]) -> None:
    """Back to what the client has, or told of twice."""
    kit = Kit(kind, a="1")
    kit.ask(EDS, "a")
    kit.contents()
    kit.put(EDS, "a", "2")
    kit.put(EDS, "a", "1")

    assert kit.told() is None


@BOTH
@pytest.mark.parametrize("type_url", [EDS, LDS])
def test_what_is_refused_is_not_sent_again_until_it_is_another(kind: type[Session], type_url: str) -> None:
    """The reason is given once; the version before is what the client has."""
    kit = Kit(kind, a="1")
    kit.ask(type_url, "a")
    kit.contents()
    kit.put(type_url, "a", "2")
    received = kit.ask(type_url, *kit.names(type_url), nonce=kit.told().nonce, error="no such thing")

    assert received.refused == Refused(
        type_url, ("*" if kind is StateOfTheWorld and type_url == LDS else "a",), "no such thing"
    )
    kit.put(type_url, "a", "2")
    assert kit.told() is None
    kit.put(type_url, "a", "1")
    assert kit.told() is None
    kit.put(type_url, "a", "3")
    assert kit.contents() == ["a=3"]


@BOTH
def test_of_several_that_are_refused_together_the_good_ones_arrive(kind: type[Session]) -> None:
    """They are sent one by one."""
    kit = Kit(kind, a="1", b="poison", c="1")
    kit.ask(EDS, "a", "b", "c")
    told = kit.told()
    assert kit.ask(EDS, *kit.names(EDS), nonce=told.nonce, error="b is bad").refused.names == ("a", "b", "c")

    assert kit.contents() == ["a=1"]
    alone = kit.told()
    assert bodies(alone) == ["b=poison"]
    assert kit.ask(EDS, *kit.names(EDS), nonce=alone.nonce, error="b is bad").refused.names == ("b",)
    assert kit.contents() == ["c=1"]
    assert kit.told() is None


@BOTH
def test_a_late_answer_is_none(kind: type[Session]) -> None:
    """Neither taken nor refused is the last response by the nonce of another."""
    kit = Kit(kind, a="1")
    kit.ask(EDS, "a")
    kit.contents()
    kit.put(EDS, "a", "2")
    old, last = "1", kit.told()

    assert kit.ask(EDS, *kit.names(EDS), nonce=old, error="stale").refused is None
    assert kit.session.waits
    kit.ask(EDS, *kit.names(EDS), nonce=last.nonce)
    assert not kit.session.waits


@BOTH
def test_a_response_has_room_for_so_much(kind: type[Session]) -> None:
    """What is left comes in the next."""
    kit = Kit(kind, Limits(response_bytes=1), a="1", b="1")
    kit.ask(EDS, "a", "b")

    assert [kit.contents(), kit.contents(), kit.contents()] == [["a=1"], ["b=1"], None]


@BOTH
def test_the_first_of_what_has_changed_is_remembered(kind: type[Session]) -> None:
    """From there to the push it takes; what was only asked for has no such time."""
    kit = Kit(kind, a="1", b="1")
    kit.ask(EDS, "a", "b")
    made = kit.session.take()
    assert made is not None
    assert made.since is None
    kit.put(EDS, "a", "2", since=7.0)
    kit.put(EDS, "b", "2", since=8.0)
    kit.ask(EDS, *kit.names(EDS), nonce="1")
    again = kit.session.take()
    assert again is not None
    assert again.since == 7.0


@BOTH
def test_what_nobody_serves_is_passed_over(kind: type[Session]) -> None:
    """It leaves nothing behind either."""
    kit = Kit(kind)

    assert kit.ask("type.googleapis.com/some.other.Type", "a") == ("", (), (), None)
    assert kit.told() is None
    assert kit.session.wanted == ()


@BOTH
@pytest.mark.parametrize("names", [("*",), ()])
def test_a_wildcard_is_answered_with_nothing(kind: type[Session], names: tuple[str, ...]) -> None:
    """At once: sidecars have their listeners and clusters in files."""
    kit = Kit(kind, a="1")
    kit.ask(LDS, *names)

    assert kit.contents() == []
    assert kit.told() is None


@BOTH
@pytest.mark.parametrize("names", [("a", "b", "c"), ("a" * 33,)])
def test_there_are_bounds(kind: type[Session], names: tuple[str, ...]) -> None:
    """To the names on a stream, of all types together, and to each."""
    kit = Kit(kind, Limits(names=3, name_length=32))
    kit.ask(CDS, "a")

    with pytest.raises(TooMuch):
        kit.ask(EDS, *names)


@BOTH
def test_what_is_no_request_is_refused(kind: type[Session]) -> None:
    """Bytes of something else."""
    with pytest.raises(Malformed):
        Kit(kind).session.receive(b"\xff\xff\xff")


def test_state_of_the_world_unsubscribes_by_leaving_out() -> None:
    """And what is asked for again is told again."""
    kit = Kit(StateOfTheWorld, a="1", b="1")
    kit.ask(EDS, "a", "b")
    kit.contents()

    assert kit.ask(EDS, "b", nonce="1") == (EDS, [], ["a"], None)
    assert kit.told() is None
    assert kit.ask(EDS, "a", "b", nonce="1").added == ["a"]
    assert kit.contents() == ["a=1"]


def test_state_of_the_world_gives_all_clusters_but_only_changed_endpoints() -> None:
    """What is not in a response of clusters is gone; endpoints stay as they were."""
    kit = Kit(StateOfTheWorld, a="1", b="1")
    for type_url in (CDS, EDS):
        kit.ask(type_url, "a", "b")
        kit.contents()
    for type_url in (CDS, EDS):
        kit.put(type_url, "a", "2")

    assert kit.contents() == ["a=2", "b=1"]
    assert kit.contents() == ["a=2"]
    kit.put(CDS, "b", None)
    assert kit.contents() == ["a=2"]


def test_state_of_the_world_answers_for_a_listener_that_is_not_there() -> None:
    """Else the client waits; where an earlier response would be the same as well."""
    kit = Kit(StateOfTheWorld)
    kit.ask(LDS, "a")
    assert kit.contents() == []
    kit.ask(LDS, "a", "b", nonce="1")
    assert kit.contents() == []


def test_state_of_the_world_tells_a_client_that_asks_again() -> None:
    """The same names with the same nonce, after it was answered: the client has lost something."""
    kit = Kit(StateOfTheWorld, a="1", b="poison")
    kit.ask(EDS, "a")
    kit.contents()
    kit.ask(EDS, "a", nonce="1")
    assert kit.contents() == ["a=1"]
    assert kit.told() is None


def test_state_of_the_world_does_not_send_again_what_was_refused_to_who_asks_again() -> None:
    """It would be refused again."""
    kit = Kit(StateOfTheWorld, a="poison")
    kit.ask(EDS, "a")
    kit.ask(EDS, "a", nonce=kit.told().nonce, error="bad")
    kit.ask(EDS, "a", nonce="1")

    assert kit.told() is None


def test_state_of_the_world_ignores_requests_from_before_a_response() -> None:
    """What they ask for stands in the answer to it too."""
    kit = Kit(StateOfTheWorld, a="1", b="1")
    kit.ask(EDS, "a")
    kit.told()

    assert kit.ask(EDS, "a", "b", nonce="").added == ()
    assert kit.ask(EDS, "a", "b", nonce="1").added == ["b"]


def test_state_of_the_world_versions_are_by_content() -> None:
    """Two replicas give the same."""
    versions = []
    for _ in range(2):
        kit = Kit(StateOfTheWorld, a="1", b="2")
        kit.ask(EDS, "a", "b")
        versions.append(kit.told().version_info)

    assert versions[0] == versions[1] != ""


def test_a_set_that_was_refused_is_tried_without_what_is_no_longer_wanted() -> None:
    """What is left may be good."""
    kit = Kit(StateOfTheWorld, a="poison", b="1")
    kit.ask(LDS, "a", "b")
    kit.ask(LDS, "a", "b", nonce=kit.told().nonce, error="a is bad")
    kit.ask(LDS, "b", nonce="1")

    assert kit.contents() == ["b=1"]


def test_a_set_is_told_again_to_who_wanted_less_meanwhile() -> None:
    """Though it is the one that was told last."""
    kit = Kit(StateOfTheWorld, a="1")
    kit.ask(LDS, "a")
    kit.contents()
    kit.ask(LDS, nonce="1")
    kit.ask(LDS, "a", nonce="1")

    assert kit.contents() == ["a=1"]


def test_what_is_gone_does_not_stop_those_that_were_refused_with_it() -> None:
    """In the state of the world nothing can be said of it; the next one is tried."""
    kit = Kit(StateOfTheWorld, a="poison", b="1")
    kit.ask(EDS, "a", "b")
    kit.ask(EDS, "a", "b", nonce=kit.told().nonce, error="a is bad")
    kit.put(EDS, "a", None)

    assert kit.contents() == ["b=1"]


def test_one_of_two_that_were_refused_is_tried_alone_though_the_other_is_not_wanted_any_more() -> None:
    """The response had both, whatever the client wants when it refuses."""
    kit = Kit(Delta, a="poison", b="1")
    kit.ask(EDS, "a", "b")
    told = kit.told()
    kit.ask(EDS, resource_names_unsubscribe=["a"])
    kit.ask(EDS, nonce=told.nonce, error="a is bad")

    assert kit.contents() == ["b=1"]


def test_delta_does_not_resend_what_the_client_has() -> None:
    """A client that comes back says what it has, by version."""
    kit = Kit(Delta, a="1", b="2")
    kit.ask(EDS, "a", "b", "gone", initial_resource_versions={"a": "1", "b": "1", "gone": "1", "other": "1"})
    told = kit.told()

    assert bodies(told) == ["b=2"]
    assert list(told.removed_resources) == ["gone"]
    assert [(each.name, each.version) for each in told.resources] == [("b", "2")]


def test_delta_says_what_does_not_exist_and_what_is_gone() -> None:
    """Once."""
    kit = Kit(Delta, a="1")
    kit.ask(RDS, "a", "b")
    first = kit.told()
    assert list(first.removed_resources) == ["b"]
    kit.ask(RDS, nonce=first.nonce)
    kit.put(RDS, "a", None)
    kit.put(RDS, "b", None)
    assert list(kit.told().removed_resources) == ["a"]


def test_delta_tells_what_is_subscribed_to_again() -> None:
    """The client may have dropped it meanwhile; even while the response that had it is unanswered."""
    kit = Kit(Delta, a="1")
    kit.ask(EDS, "a")
    first = kit.told()
    kit.ask(EDS, "a")
    kit.ask(EDS, nonce=first.nonce)

    assert kit.contents() == ["a=1"]
    kit.ask(EDS, resource_names_unsubscribe=["a", "b"])
    assert kit.ask(EDS, "a").added == ["a"]
    assert kit.contents() == ["a=1"]


def test_delta_sends_what_was_refused_to_who_asks_for_it_again() -> None:
    """Asking for it by name says that it is wanted now."""
    kit = Kit(Delta, a="odd")
    kit.ask(EDS, "a")
    kit.ask(EDS, nonce=kit.told().nonce, error="not yet")
    assert kit.told() is None
    kit.ask(EDS, "a")

    assert kit.contents() == ["a=odd"]


def test_refusals_are_kept_apart() -> None:
    """What one client refuses the other takes."""
    one, two = Kit(StateOfTheWorld, a="1"), Kit(Delta, a="1")
    for kit in (one, two):
        kit.ask(EDS, "a")
    one.ask(EDS, "a", nonce=one.told().nonce, error="bad")

    assert two.contents() == ["a=1"]
    assert one.told() is None


def test_types_are_sent_in_an_order_in_which_nothing_points_to_what_is_not_there() -> None:
    """Clusters and endpoints before listeners and routes."""
    kit = Kit(Delta, a="1")
    for type_url in (RDS, LDS, EDS, CDS):
        kit.ask(type_url, "a")

    assert [kit.told().type_url for _ in range(4)] == [CDS, EDS, LDS, RDS]


def test_a_long_reason_is_cut() -> None:
    """It is a stranger's text."""
    kit = Kit(Delta, a="1")
    kit.ask(EDS, "a")

    assert len(kit.ask(EDS, nonce=kit.told().nonce, error="x" * 10_000).refused.reason) == 500


def test_a_resource_of_the_kit_is_an_any() -> None:
    """So that the tests speak of what is sent."""
    from google.protobuf.any_pb2 import Any as Packed  # noqa: PLC0415 - here only

    made = Packed.FromString(resource("a", "1").body)

    assert (made.type_url, made.value) == ("type.googleapis.com/test.Thing", b"a=1")
