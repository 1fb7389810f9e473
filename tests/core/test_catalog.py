"""The catalog: one immutable value."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import FrozenInstanceError
from pathlib import Path
from typing import Any

import pytest

from tests.builders import catalog, namespace, port, service
from webhook.core import names
from webhook.core.catalog import Catalog, build_catalog
from webhook.core.model import Namespace

ROOT = Path(__file__).parents[2]


def named(services: Any) -> list[str]:
    """Give the Services by name."""
    return [str(one.ref) for one in services]


def test_own_and_exported() -> None:
    """By name; what is exported to everybody or to this namespace, each once, and never one's own."""
    both = {names.EXPORT_TO: "*,shop"}
    known = catalog(
        service("b"),
        service("a", annotations=both),
        service("c", namespace="store", annotations=both),
        service("d", namespace="store", annotations={names.EXPORT_TO: "bar"}),
        service("e", namespace="store"),
        service("f", namespace="bar", annotations={names.EXPORT_TO: "shop"}),
    )

    assert named(known.own("shop")) == ["a.shop", "b.shop"]
    assert named(known.exported("shop")) == ["f.bar", "c.store"]
    assert named(known.exported("bar")) == ["a.shop", "c.store", "d.store"]
    assert named(known.own("nowhere")) == []


def test_the_first_of_two_counts() -> None:
    """And the second is told."""
    known = catalog(service("a", port(1, "grpc")), service("a", port(2, "grpc")))

    assert [upstream.port for upstream in known.own("shop")[0].upstreams] == [1]
    assert [problem.code for problem in known.problems] == ["duplicate"]


def test_namespaces() -> None:
    """Their labels and annotations; of an unknown one only its name; a bad label is told."""
    known = catalog(namespace("shop", labels={names.INJECT: "yes"}, annotations={"a": "b"}))

    assert known.namespace("shop") == Namespace("shop", {names.INJECT: "yes"}, {"a": "b"})
    assert known.namespace("other") == Namespace("other")
    assert [(problem.code, problem.where) for problem in known.problems] == [("bad-label", "Namespace shop")]


@pytest.mark.parametrize("junk", [None, 1, "x", [], {}, {"kind": "Service"}, {"kind": "Namespace", "apiVersion": "v1"}])
def test_junk_is_passed_over(junk: Any) -> None:
    """Nothing is raised, and what is beside it counts."""
    assert named(build_catalog([junk, service("a")]).own("shop")) == ["a.shop"]


def test_the_default_namespace() -> None:
    """For objects that name none, as kubectl gives them one."""
    one = service("a")
    del one["metadata"]["namespace"]

    assert named(catalog(one, default_namespace="store").own("store")) == ["a.store"]


def test_it_cannot_be_changed() -> None:
    """Readers may keep it as long as they like."""
    known = Catalog()

    with pytest.raises(FrozenInstanceError):
        known.services = {}  # type: ignore[misc]


def test_the_version_follows_the_content() -> None:
    """Any change that a sidecar could see is another version; the order of objects is not."""
    one, other = service("a", annotations={names.EXPORT_TO: "x,y,z"}), service("b")
    versions = {
        catalog(*objects).version
        for objects in (
            (one, other),
            (one,),
            (one, service("b", port(1, "grpc"))),
            (one, service("b", annotations={names.RETRY: "off"})),
            (one, service("b", annotations={names.EXPORT_TO: "x"})),
            (one, service("b", selector={"x": "y"})),
            (one, other, namespace("shop", labels={"a": "b"})),
        )
    }

    assert len(versions) == 7
    assert catalog(one, other).version == catalog(other, one).version


def test_every_replica_gives_the_same_version() -> None:
    """Sets are ordered anew in each process; the version is not."""
    program = (
        "from tests.builders import *; print(catalog(namespace(labels=dict(b='1', a='2')), "
        "service(annotations={'evenkeel.dev/export-to': 'a,b,c,d,e,f'})).version)"
    )
    printed = {
        subprocess.run(
            [sys.executable, "-c", program], cwd=ROOT, env={"PYTHONHASHSEED": seed}, capture_output=True, check=True
        ).stdout
        for seed in ("1", "2")
    }

    assert len(printed) == 1
