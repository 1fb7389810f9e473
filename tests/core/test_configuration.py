"""The annotations that hold the configuration, and what is kept of them."""

from __future__ import annotations

import json
from typing import Any

from tests.builders import catalog, service, templates
from webhook.core import names
from webhook.core.annotations import references
from webhook.core.capture import Capture, Listen
from webhook.core.configuration import Configurations, Wanted, annotation_bytes
from webhook.core.model import DiscoveryMode, SidecarSettings
from webhook.core.view import View
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
    wanted = Wanted(view, None, None, access_log=True)
    kept.configuration(wanted)
    first = write.count

    again = kept.configuration(wanted)
    assert (write.count, again is kept.configuration(Wanted(*wanted))) == (first, True)

    kept.configuration(wanted._replace(default=view.upstreams[0]))
    assert write.count == first + 1

    kept.configuration(wanted._replace(trust="PEM", mode=DiscoveryMode.XDS))
    assert write.count == first + 3


def test_the_bootstrap_never_differs() -> None:
    """It cannot be changed in the life of a Pod, so it must hold nothing that could."""
    kept = made()
    few = kept.configuration(Wanted(kept.view(catalog(), "shop", None).view, None, None, access_log=True))
    many = kept.configuration(Wanted(kept.view(catalog(service("a")), "shop", None).view, None, 8080, access_log=False))

    assert few.annotations[names.BOOTSTRAP] == many.annotations[names.BOOTSTRAP]
    assert few.annotations[names.CLUSTERS] != many.annotations[names.CLUSTERS]


def test_the_status_sums_up() -> None:
    """Version, upstreams and a digest that follows every file."""
    kept = made()
    view = kept.view(catalog(service("a")), "shop", None).view
    statuses = [
        status(kept, Wanted(view, target, port, access_log=log, captures=captures))
        for target, port, log, captures in (
            (None, None, True, ()),
            (None, 80, True, ()),
            (None, None, False, ()),
            (view.upstreams[0], None, True, ()),
            (None, None, True, captured(view)),
        )
    ]

    assert statuses[0]["upstreams"] == ["a.shop:50051"]
    assert len({status["digest"] for status in statuses}) == 5
    assert [status.get("captures") for status in statuses] == [None] * 4 + [{"a.shop": "127.64.0.9"}]


def test_the_status_says_where_endpoints_come_from() -> None:
    """Only where that is not by DNS; whom a Pod trusts is no part of its digest."""
    kept = made()
    plain = Wanted(kept.view(catalog(service("a")), "shop", None).view, None, None, access_log=True)
    pushed = [status(kept, plain._replace(mode=DiscoveryMode.XDS, trust=trust)) for trust in ("PEM", "another", "")]

    assert "discovery" not in status(kept, plain)
    assert [each["discovery"] for each in pushed] == ["xds"] * 3
    assert len({each["digest"] for each in pushed}) == 1
    assert pushed[0]["digest"] != status(kept, plain)["digest"]


def test_files_that_most_pods_have_not() -> None:
    """Each only where it is read; where nobody knows whom to trust, what a live Pod has is not written over."""
    kept = made()
    plain = Wanted(kept.view(catalog(service("a")), "shop", None).view, None, None, access_log=True)
    pushed = plain._replace(mode=DiscoveryMode.XDS)
    usual = {*names.CONFIGURATION, names.STATUS}

    assert [
        set(kept.configuration(each).annotations) - usual
        for each in (
            plain,
            plain._replace(captures=captured(plain.view)),
            pushed,
            pushed._replace(trust="PEM"),
        )
    ] == [set(), {names.CAPTURES}, {names.IDENTITY}, {names.IDENTITY, names.TRUST}]
    assert "PEM" in kept.configuration(pushed._replace(trust="PEM")).annotations[names.TRUST]


def status(kept: Configurations, wanted: Wanted) -> Any:
    """Give the summary that a Pod would carry."""
    return json.loads(kept.configuration(wanted).annotations[names.STATUS])


def captured(view: View) -> tuple[Capture, ...]:
    """Capture the first Service of a view, at an address of the test's own."""
    first = view.services[0]
    return (Capture(first.ref, "127.64.0.9", ("a",), (Listen(50051, first.upstreams[0], grpc=True),)),)


def test_the_size_is_what_kubernetes_counts() -> None:
    """Bytes of keys and values."""
    kept = made()
    one = kept.configuration(Wanted(kept.view(catalog(), "shop", None).view, None, None, access_log=True))

    assert annotation_bytes({"é": "aé", "b": ""}) == 6
    assert one.size == annotation_bytes(one.annotations)


def test_what_is_kept_is_bounded() -> None:
    """Pods choose what they see; whoever makes up ever new choices fills no memory, and gets right answers."""
    kept, known = made(), catalog(service("a"))

    for number in range(300):
        kept.view(known, "shop", references(f"n{number}"))

    assert len(kept._views) == 256
    assert [str(one) for one in kept.view(known, "shop", references("a,n0")).missing] == ["n0"]
