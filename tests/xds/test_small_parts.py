"""Bytes, pace, subscriptions, and what is logged of refusals."""

from __future__ import annotations

import pytest
from envoy.service.discovery.v3 import discovery_pb2
from hypothesis import given
from hypothesis import strategies as st

from tests.xds.simulators import ME, resource
from webhook.xds.limits import Limits
from webhook.xds.pace import Pace
from webhook.xds.refused import RefusedLog
from webhook.xds.session import Refused
from webhook.xds.source import EDS
from webhook.xds.subscriptions import Subscriptions
from webhook.xds.wire import delta_discovery_response, discovery_response

CONTENTS = st.dictionaries(st.text(min_size=1, max_size=5), st.text(max_size=300), max_size=4)


@given(CONTENTS)
def test_a_discovery_response_is_what_protobuf_reads(contents: dict[str, str]) -> None:
    """Resources of any length."""
    resources = [resource(name, content) for name, content in contents.items()]
    read = discovery_pb2.DiscoveryResponse.FromString(discovery_response(EDS, "7", "v", resources))

    assert (read.type_url, read.nonce, read.version_info) == (EDS, "7", "v")
    assert [each.value.decode() for each in read.resources] == [f"{key}={value}" for key, value in contents.items()]


@given(CONTENTS, st.lists(st.text(min_size=1, max_size=200), max_size=3))
def test_a_delta_discovery_response_is_what_protobuf_reads(contents: dict[str, str], removed: list[str]) -> None:
    """With the names of what is there and of what is gone."""
    resources = [(name, resource(name, content)) for name, content in contents.items()]
    read = discovery_pb2.DeltaDiscoveryResponse.FromString(delta_discovery_response(EDS, "7", resources, removed))

    assert (read.type_url, read.nonce, list(read.removed_resources)) == (EDS, "7", removed)
    assert [(each.name, each.version) for each in read.resources] == list(contents.items())
    assert [each.resource.value.decode() for each in read.resources] == [
        f"{key}={value}" for key, value in contents.items()
    ]


def test_a_burst_is_read_at_once_and_what_follows_at_the_rate() -> None:
    """Time gives tokens back, never more than the burst."""
    pace = Pace(Limits(burst=2, requests_per_second=10.0), now=0.0)

    assert [pace.wait(0, 0.0) for _ in range(4)] == pytest.approx([0.0, 0.0, 0.1, 0.2])
    assert pace.wait(0, 0.3) == 0.0
    assert [pace.wait(0, 100.0) for _ in range(3)] == pytest.approx([0.0, 0.0, 0.1])


def test_large_requests_count_as_many() -> None:
    """Reading them costs time."""
    pace = Pace(Limits(burst=1, requests_per_second=1.0, bytes_per_request=1000), now=0.0)

    assert pace.wait(5000, 0.0) == pytest.approx(5.0)


def test_those_who_want_a_name_are_known_by_type_and_name() -> None:
    """Names that nobody wants are forgotten."""
    wanted: Subscriptions[str] = Subscriptions()
    wanted.add("one", EDS, ["a", "b"])
    wanted.add("two", EDS, ["a"])
    wanted.drop("one", EDS, ["a", "never"])

    assert list(wanted.of(EDS, "a")) == ["two"]
    assert list(wanted.of("other", "a")) == []
    assert len(wanted) == 2
    wanted.drop("two", EDS, ["a"])
    wanted.drop("one", EDS, ["b"])
    assert len(wanted) == 0


def test_a_flood_of_refusals_is_not_a_flood_of_lines(capsys: pytest.CaptureFixture[str]) -> None:
    """A hundred a minute, and one that says so; then again."""
    now = 0.0
    log = RefusedLog(lambda: now)
    for _ in range(300):
        log.tell(ME, Refused(EDS, ("a",), "bad"))
    flood = capsys.readouterr().out
    now = 61.0
    log.tell(ME, Refused(EDS, tuple("abcdefgh"), "bad"))
    later = capsys.readouterr().out

    assert flood.count("response refused") == 100
    assert flood.count("only counted") == 1
    assert later.count("response refused") == 1
    assert all(word in later for word in ("shop", "front-0", "eds", "bad"))
