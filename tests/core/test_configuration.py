"""The annotations that hold the configuration, and what is kept of them."""

from __future__ import annotations

import json
from typing import Any

from tests.builders import catalog, service, templates
from webhook.core import names
from webhook.core.annotations import references
from webhook.core.configuration import Configurations, annotation_bytes
from webhook.core.model import SidecarSettings
from webhook.templates import dump


class Dumps:
    """Writes documents, and counts how often."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self, document: Any) -> str:
        """Write one."""
        self.count += 1
        return dump(document)


def made(write: Any = dump) -> Configurations:
    """Make configurations with the shipped templates."""
    return Configurations(SidecarSettings(), templates(), write)


def test_the_same_view_as_long_as_its_content_is_the_same() -> None:
    """A change elsewhere in the cluster renders nothing anew."""
    kept = made()
    first = kept.view(catalog(service("a")), "shop", None).view

    assert kept.view(catalog(service("a"), service("b", namespace="store")), "shop", None).view is first
    assert kept.view(catalog(service("a"), service("b")), "shop", None).view is not first


def test_a_view_for_each_choice_and_namespace() -> None:
    """Pods that see different Services never share what they see."""
    kept, known = made(), catalog(service("a"), service("b", namespace="store"))
    seen = [
        kept.view(known, "shop", None).view,
        kept.view(known, "shop", references("a")).view,
        kept.view(known, "store", None).view,
    ]

    assert len({id(view) for view in seen}) == 3


def test_the_missing_are_told_each_time() -> None:
    """Also where the view is the same as before."""
    kept, known = made(), catalog(service("a"))

    assert [str(one) for one in kept.view(known, "shop", references("a,b")).missing] == ["b"]
    assert [str(one) for one in kept.view(known, "shop", references("a,b")).missing] == ["b"]
    assert kept.view(catalog(service("a"), service("b")), "shop", references("a,b")).missing == ()


def test_equal_inputs_are_written_once() -> None:
    """A second Pod of the same kind costs no writing; another one only what differs."""
    write = Dumps()
    kept = made(write)
    view = kept.view(catalog(service("a")), "shop", None).view
    kept.configuration(view, None, None, access_log=True)
    first = write.count

    again = kept.configuration(view, None, None, access_log=True)
    assert (write.count, again is kept.configuration(view, None, None, access_log=True)) == (first, True)

    kept.configuration(view, view.upstreams[0], None, access_log=True)
    assert write.count == first + 1


def test_the_bootstrap_never_differs() -> None:
    """It cannot be changed in the life of a Pod, so it must hold nothing that could."""
    kept = made()
    few = kept.configuration(kept.view(catalog(), "shop", None).view, None, None, access_log=True)
    many = kept.configuration(kept.view(catalog(service("a")), "shop", None).view, None, 8080, access_log=False)

    assert few.annotations[names.BOOTSTRAP] == many.annotations[names.BOOTSTRAP]
    assert few.annotations[names.CLUSTERS] != many.annotations[names.CLUSTERS]


def test_the_status_sums_up() -> None:
    """Version, upstreams and a digest that follows every file."""
    kept = made()
    view = kept.view(catalog(service("a")), "shop", None).view
    statuses = [
        json.loads(kept.configuration(view, target, port, access_log=log).annotations[names.STATUS])
        for target, port, log in ((None, None, 1), (None, 80, 1), (None, None, 0), (view.upstreams[0], None, 1))
    ]

    assert statuses[0]["upstreams"] == ["a.shop:50051"]
    assert len({status["digest"] for status in statuses}) == 4


def test_the_size_is_what_kubernetes_counts() -> None:
    """Bytes of keys and values."""
    kept = made()
    one = kept.configuration(kept.view(catalog(), "shop", None).view, None, None, access_log=True)

    assert annotation_bytes({"é": "aé", "b": ""}) == 6
    assert one.size == annotation_bytes(one.annotations)


def test_what_is_kept_is_bounded() -> None:
    """Pods choose what they see; whoever makes up ever new choices fills no memory, and gets right answers."""
    kept, known = made(), catalog(service("a"))

    for number in range(300):
        kept.view(known, "shop", references(f"n{number}"))

    assert len(kept._views) == 256
    assert [str(one) for one in kept.view(known, "shop", references("a,n0")).missing] == ["n0"]
