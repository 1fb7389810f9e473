"""Probes turn after as many equal answers as they need."""

import asyncio

import pytest

from webhook.node import checks
from webhook.node.errors import NodeError
from webhook.node.image import Image, Images
from webhook.node.probes import Probe, follow


async def _verdicts(answers, count, **document):
    found, left = [], list(answers)

    async def act(_document):
        return left.pop(0)

    async def heed(verdict):
        found.append(verdict.good)
        return len(found) < count

    await follow(Probe({"periodSeconds": 0.001, **document}), act, heed, age=0)
    return found, len(left)


async def test_three_failures_in_a_row_turn_it_by_default():
    """Two do not, if a success is between."""
    assert ([True, False], 0) == await _verdicts(["a", "a", None, "a", "a", "a"], 2)


async def test_thresholds_are_the_documents():
    """Both of them."""
    assert ([False, True], 0) == await _verdicts(["a", None, None], 2, failureThreshold=1, successThreshold=2)


async def test_silence_is_a_failure():
    """After the time-out."""
    found = []

    async def heed(verdict):
        found.append(verdict)
        return False

    await follow(Probe({"timeoutSeconds": 0.01, "failureThreshold": 1}), lambda _: asyncio.Event().wait(), heed, age=0)
    assert ["no answer within 0.01 s"] == [verdict.problem for verdict in found]


def test_ports_may_be_named():
    """A name that is not declared is refused with those that are."""
    target = checks.Target("10.244.0.2", {"web": 80}, lambda _command: None)
    assert [80, 81, 82] == [target.port(value) for value in ("web", 81, "82")]

    with pytest.raises(NodeError, match="port 'x' is not declared by the container; declared are: web"):
        target.port("x")


async def test_an_action_that_nobody_knows_is_a_failure():
    """Not a crash."""
    assert "nothing to do in ['periodSeconds']" in await checks.perform({"periodSeconds": 1}, None)


def test_an_image_is_found_by_its_whole_name(tmp_path):
    """Else by the fallback, else not, and the known ones are named."""
    image = Image({}, ("/x",))
    assert image == Images({"a": image}).find("a")
    assert image == Images({}, lambda _name: image).find("b")

    with pytest.raises(NodeError, match="image 'b' is not known to this node; known are: a"):
        Images({"a": image}, lambda _name: None).find("b")
    with pytest.raises(NodeError, match="does not exist on this machine"):
        Image({"/x": tmp_path / "none"}, ())
