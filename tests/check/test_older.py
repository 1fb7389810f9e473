"""Pods that are older than what only new ones get."""

from __future__ import annotations

from typing import Any

import jsonpatch
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests import builders
from tests.builders import service
from tests.check import world
from tests.check.api import Json
from tests.core import strategies
from webhook.check.judge_older import judge_older
from webhook.check.model import Result
from webhook.core import names
from webhook.core.catalog import Catalog, build_catalog
from webhook.core.errors import PodRejected
from webhook.core.model import DiscoveryMode
from webhook.core.pod import read_pod

INJECTOR = builders.injector()
ORDERS, USERS = service("orders"), service("users", clusterIP="10.0.0.7")


def space(**words: str) -> Json:
    """Make the namespace, which says these words."""
    return builders.namespace("shop", annotations={f"{names.DOMAIN}/{key}": text for key, text in words.items()})


def known(*objects: Any) -> Catalog:
    """Give a catalog."""
    return build_catalog([*objects, world.TRUSTED])


def test_a_pod_that_has_all_of_it_is_only_counted() -> None:
    """Captured names and a token; or nothing, where nobody asks."""
    words = {"capture": "enabled", "discovery": "xds"}
    pods = [world.injected(builders.pod(), ORDERS, USERS, space(**words), world.TRUSTED)]

    assert judge_older(pods, known(ORDERS, USERS, space(**words)), INJECTOR).found == ("1 looked at",)
    assert judge_older([world.injected(builders.pod())], known(ORDERS), INJECTOR).result is Result.OK


def test_a_pod_that_is_older_than_a_service_or_its_annotation_is_named_with_what_would_do() -> None:
    """Its calls to that name are not balanced; three names at most, and how many more."""
    pod = world.injected(builders.pod(), ORDERS, space())
    later = [service(f"s{number}") for number in range(4)]

    found = judge_older([pod], known(ORDERS, *later, space(capture="enabled")), INJECTOR)

    assert found.result is Result.WARNING
    assert found.found == (
        "Pod shop/front-0: created before calls to orders.shop, s0.shop, s1.shop and 2 more were to be captured",
    )
    assert found.remedy == ("delete and create Pod shop/front-0 again",)


def test_a_pod_without_a_token_is_named() -> None:
    """It asks the DNS for life."""
    pod = world.injected(builders.pod(), ORDERS, space())

    found = judge_older([pod], known(ORDERS, space(discovery="xds")), INJECTOR)

    [said] = found.found
    assert said == (
        "Pod shop/front-0: created before annotation evenkeel.dev/discovery of namespace shop asked for pushed "
        "endpoints: no token, so the DNS is asked"
    )


@pytest.mark.parametrize(
    "pod",
    [
        builders.pod(),
        world.injected(builders.pod(annotations={names.CAPTURE: "disabled"}), ORDERS),
        world.injected(builders.pod(annotations={names.MODE: "proxyless"}), world.TRUSTED),
        world.injected(builders.pod(), ORDERS) | {"status": {"phase": "Failed"}},
    ],
    ids=["bare", "declines", "proxyless", "ended"],
)
def test_who_would_get_nothing_lacks_nothing(pod: Json) -> None:
    """Others are told of elsewhere."""
    assert judge_older([pod], known(ORDERS, space(capture="enabled")), INJECTOR).result is Result.OK


def test_annotations_that_are_wrong_are_told_elsewhere() -> None:
    """A live Pod may have got them by hand."""
    pod: Any = world.injected(builders.pod(), ORDERS)
    pod["metadata"]["annotations"][names.CAPTURE] = "maybe"

    assert judge_older([pod], known(ORDERS, space(capture="enabled")), INJECTOR).result is Result.OK


@given(strategies.pods(), st.lists(strategies.services(), max_size=5), st.sampled_from(DiscoveryMode))
def test_a_pod_that_was_admitted_just_now_lacks_nothing(document: Any, objects: list[Any], mode: DiscoveryMode) -> None:
    """Whatever it is, and whatever Services there are."""
    catalog = known(*objects, space(capture="enabled", discovery=mode.value))
    try:
        outcome = INJECTOR.admit(read_pod(document, "shop"), catalog, None)
    except PodRejected:
        return
    live = jsonpatch.apply_patch(document, [dict(one) for one in outcome.operations])
    live["metadata"] = {"name": "front-0"} | live["metadata"] | {"namespace": "shop"}

    found = judge_older([live], catalog, INJECTOR)

    assert found.result is Result.OK, found.found
