"""Templates are data: whole values are replaced, nothing else."""

from __future__ import annotations

from typing import Any

import pytest

from webhook.core.errors import TemplateError
from webhook.core.template import OMIT, Template


@pytest.mark.parametrize(
    ("document", "values", "expected"),
    [
        ({"a": "$x"}, {"x": 1}, {"a": 1}),
        (["$x", {"b": "$y"}], {"x": [1], "y": {"c": 2}}, [[1], {"b": {"c": 2}}]),
        ({"a": "$x", "b": "c"}, {"x": OMIT}, {"b": "c"}),
        (["$x", "b"], {"x": OMIT}, ["b"]),
        ({"a": "$x"}, {"x": "$x"}, {"a": "$x"}),
        ({"a": "$x", "b": "x$x", "c": "$X", "d": "$(X)", "e": "$$x", "$x": 0}, {"x": 1},
         {"a": 1, "b": "x$x", "c": "$X", "d": "$(X)", "e": "$$x", "$x": 0}),
    ],
)  # fmt: skip
def test_fill(document: Any, values: dict[str, Any], expected: Any) -> None:
    """A leaf that is just a placeholder becomes the value; parts of texts, keys and values put in are let be."""
    actual = Template("a.yaml", document, tuple(values)).fill(**values)

    assert expected == actual


def test_what_has_no_hole_is_shared() -> None:
    """It is then written once in a configuration, and referred to."""
    template = Template("a.yaml", {"same": {"deep": [1]}, "hole": "$x"}, ("x",))

    one, other = template.fill(x=1), template.fill(x=2)

    assert one["same"] is other["same"]
    assert one["hole"] != other["hole"]


def test_every_problem_is_told_with_file_and_key() -> None:
    """Unknown placeholders with the nearest known one, and missing ones."""
    document = {"a": [{"b": "$prot"}], "c": "$zzz"}

    with pytest.raises(TemplateError) as refused:
        Template("cluster.yaml", document, ("port", "name"))

    assert refused.value.problems == (
        "cluster.yaml: a[0].b: unknown placeholder $prot; did you mean port?",
        "cluster.yaml: c: unknown placeholder $zzz",
        "cluster.yaml: placeholder $port is missing; its value would have no effect",
        "cluster.yaml: placeholder $name is missing; its value would have no effect",
    )
