"""The recorder of operations; that they always apply is a property (test_properties.py)."""

from __future__ import annotations

from typing import Any

import pytest

from webhook.core.patch import PatchRecorder, pointer


@pytest.mark.parametrize(
    ("path", "expected"),
    [((), ""), (("a", 0), "/a/0"), (("a/b~c",), "/a~1b~0c"), (("",), "/"), (("~1",), "/~01"), (("-",), "/-")],
)
def test_pointer(path: tuple[Any, ...], expected: str) -> None:
    """Slash and tilde are escaped, tilde first (RFC 6901)."""
    actual = pointer(*path)

    assert expected == actual


def test_missing_and_null_parents_are_made() -> None:
    """Each with an operation of its own, empty as it was then."""
    edit = PatchRecorder({"spec": None})

    edit.set("metadata", "annotations", "a", value="x")
    edit.append("spec", "volumes", value=1)

    assert edit.operations == (
        {"op": "add", "path": "/metadata", "value": {}},
        {"op": "add", "path": "/metadata/annotations", "value": {}},
        {"op": "add", "path": "/metadata/annotations/a", "value": "x"},
        {"op": "add", "path": "/spec", "value": {}},
        {"op": "add", "path": "/spec/volumes", "value": []},
        {"op": "add", "path": "/spec/volumes/-", "value": 1},
    )


def test_what_exists_is_replaced() -> None:
    """An existing member is replaced, a null one too; an item of a list always."""
    edit = PatchRecorder({"a": 1, "b": None, "c": [1, 2]})

    edit.set("a", value=2)
    edit.set("b", value=3)
    edit.set("c", 1, value=4)

    assert [operation["op"] for operation in edit.operations] == ["replace"] * 3
    assert edit.document == {"a": 2, "b": 3, "c": [1, 4]}


def test_an_insertion_names_its_place() -> None:
    """The first of a list, before what is there."""
    edit = PatchRecorder({"a": [1]})

    edit.insert("a", index=0, value=0)

    assert edit.operations == ({"op": "add", "path": "/a/0", "value": 0},)
    assert edit.document == {"a": [0, 1]}


def test_nothing_untouched_is_copied() -> None:
    """A Pod with thousands of variables costs nothing: only what an edit touches is copied, and once."""
    untouched, touched = {"env": [1]}, {"x": {}}
    document = {"a": untouched, "b": touched}
    edit = PatchRecorder(document)

    edit.set("b", "y", value=1)
    once = edit.document["b"]
    edit.set("b", "z", value=1)

    assert edit.document["a"] is untouched
    assert edit.document["b"] is once
    assert document == {"a": {"env": [1]}, "b": {"x": {}}}


def test_a_part_that_stands_twice_is_changed_in_one_place_only() -> None:
    """A manifest with a YAML alias has one object in two places."""
    shared: dict[str, Any] = {"k": "v"}
    edit = PatchRecorder({"labels": shared, "annotations": shared})

    edit.set("annotations", "x", value=1)
    edit.set("labels", "y", value=2)

    assert edit.document == {"labels": {"k": "v", "y": 2}, "annotations": {"k": "v", "x": 1}}
