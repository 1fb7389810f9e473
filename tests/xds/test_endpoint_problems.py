"""What is wrong with EndpointSlices is told once, and counted for as long as it is so."""

from __future__ import annotations

import asyncio

import structlog
from prometheus_client import CollectorRegistry

from tests.builders import endpoint_slice
from tests.kube.kit import Json, Time, running, until
from webhook.core.endpoints import EndpointBook
from webhook.xds.endpoint_problems import EndpointProblems

PORT = {"name": "grpc", "port": 50051}


def slice_of(name: str, **changes: object) -> Json:
    """Make an EndpointSlice."""
    found = endpoint_slice("orders", PORT)
    found["metadata"]["name"] = name
    return {**found, **changes}


class Looked:
    """A book that is looked at."""

    def __init__(self) -> None:
        self.time = Time()
        self.book = EndpointBook()
        self.registry = CollectorRegistry()
        self.problems = EndpointProblems(self.book, self.registry, sleep=self.time.sleep)

    async def put(self, name: str, document: Json | None) -> None:
        """Put a slice, and wait until that was looked at."""
        looks = len(self.time.slept)
        self.book.put(name, document)
        self.problems.stir()
        await until(lambda: len(self.time.slept) > looks)

    def count(self, code: str) -> float | None:
        """Give how many there are of a kind."""
        return self.registry.get_sample_value("evenkeel_xds_endpoint_problems", {"code": code})


async def test_a_problem_is_told_once_and_counted_until_it_is_gone() -> None:
    """Whatever else changes meanwhile; when it comes back, it is told again."""
    one = Looked()
    bad = slice_of("bad", addressType="FQDN")
    with structlog.testing.capture_logs() as logs:
        async with running(one.problems.run()):
            await one.put("bad", bad)
            await one.put("good", slice_of("good"))
            during = one.count("bad-address-type")
            await one.put("bad", None)
            after = one.count("bad-address-type")
            await one.put("bad", bad)

    assert (during, after) == (1, None)
    assert [(line["event"], line["code"], line["where"]) for line in logs] == [
        ("endpoint problem", "bad-address-type", "EndpointSlice shop/bad")
    ] * 2


async def test_a_flood_of_problems_is_a_hundred_lines() -> None:
    """A controller that writes nonsense writes it to every slice."""
    one = Looked()
    for number in range(150):
        one.book.put(number, slice_of(f"bad-{number}", addressType="FQDN"))
    with structlog.testing.capture_logs() as logs:
        async with running(one.problems.run()):
            await one.put("good", slice_of("good"))

    assert len(logs) == 101
    assert logs[-1] == {"event": "more endpoint problems are only counted", "count": 50, "log_level": "warning"}
    assert one.count("bad-address-type") == 150


async def test_it_looks_once_a_second_at_most() -> None:
    """However many changes there are."""
    one = Looked()
    async with running(one.problems.run()):
        for number in range(1000):
            one.book.put(number, slice_of(f"good-{number}"))
            one.problems.stir()
        await until(lambda: one.time.slept)
        await asyncio.sleep(0)

    assert one.time.slept == [1.0]
