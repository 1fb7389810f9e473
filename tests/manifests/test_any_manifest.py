"""Properties over generated manifests and over damaged ones."""

from __future__ import annotations

import json
from typing import Any

import jsonpatch
import yaml
from hypothesis import given
from hypothesis import strategies as st

from tests.manifests.test_rewrite import operations
from tests.manifests.ugly import UGLY, WRITTEN_ANEW
from webhook.manifests.parse import NotParsed, parse
from webhook.manifests.read import Document
from webhook.manifests.rewrite import rewrite

TEXTS = st.text(max_size=12) | st.sampled_from(["yes", "1e3", "a\nb\n", "# no", "a: b", "---", "- x", "\ttab", "x \n"])
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 99999) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=8,
)
MAYBE = st.none() | st.just([])
CONTAINERS = st.lists(st.fixed_dictionaries({"name": st.just("web"), "args": VALUES}), min_size=1, max_size=2)
PODS = st.fixed_dictionaries(
    {"spec": st.fixed_dictionaries({"containers": CONTAINERS}, optional={"volumes": MAYBE, "initContainers": MAYBE})},
    optional={
        "apiVersion": st.just("v1"),
        "metadata": st.none() | st.dictionaries(TEXTS.filter(lambda key: key != "annotations"), VALUES, max_size=3),
        "status": VALUES,
    },
)
STYLES = st.fixed_dictionaries(
    {
        "default_flow_style": st.sampled_from([True, False, None]),
        "default_style": st.sampled_from([None, None, '"', "'", "|", ">"]),
        "indent": st.integers(2, 9),
        "width": st.sampled_from([10, 40, 1000]),
        "line_break": st.sampled_from(["\n", "\r\n"]),
        "allow_unicode": st.booleans(),
        "explicit_start": st.booleans(),
        "explicit_end": st.booleans(),
    }
)


def wanted(value: Any) -> Any:
    """Give what a library that is not ours makes of the operations."""
    return jsonpatch.apply_patch(value, operations(value))


def document(text: str) -> Document:
    """Give a text as a document."""
    return Document("f.yaml", 1, 1, text, parse(text))


@given(PODS, STYLES)
def test_any_yaml_is_changed_to_what_the_operations_give(pod: dict, style: dict) -> None:
    """Whatever the style a program wrote it in, the new text means the old value with the operations applied."""
    # Quoted, folded or literal keys and numbers are other values than plain ones: what counts is what is read.
    text = yaml.dump(pod, Dumper=yaml.SafeDumper, **style)
    try:
        read = document(text)
    except NotParsed:
        return  # PyYAML writes a few things that it does not read again
    if not isinstance(read.value, dict) or "spec" not in read.value:
        return

    assert wanted(read.value) == parse(rewrite(read, [((), operations(read.value))]).text)


@given(PODS, st.none() | st.integers(0, 4), st.booleans())
def test_any_json_is_changed_to_what_the_operations_give(pod: dict, indent: int | None, ascii_only: bool) -> None:
    """JSON stays JSON and says the same."""
    text = json.dumps(pod, indent=indent, ensure_ascii=ascii_only)
    read = document(text)

    assert wanted(read.value) == json.loads(rewrite(read, [((), operations(read.value))]).text)


@given(st.sampled_from([*UGLY.values(), *WRITTEN_ANEW.values()]), st.data())
def test_a_damaged_manifest_is_told_or_changed_rightly(text: str, data: st.DataObject) -> None:
    """A character lost, doubled or replaced gives a fault with a line, or another manifest that is handled as well."""
    place = data.draw(st.integers(0, len(text)))
    damage = data.draw(
        st.sampled_from(["", " ", "\n", "\t", "{", "]", ":", "- ", "&a ", "*first", "#", "'", "|", "---\n"])
    )
    damaged = text[:place] + damage + text[place + data.draw(st.integers(0, 2)) :]
    try:
        read = document(damaged)
        change = operations(read.value)
    except NotParsed as error:
        lines = [fault.line for fault in error.faults]
        assert lines
        assert set(lines) <= set(range(damaged.count("\n") + damaged.count("\r") + 1))
        return
    except (TypeError, ValueError, AttributeError, KeyError):
        return  # no longer shaped like a Pod

    assert wanted(read.value) == parse(rewrite(read, [((), change)]).text)
