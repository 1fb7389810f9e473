"""What was spliced in is cut out again: byte for byte where the text was edited in place both times."""

from __future__ import annotations

import json
from typing import Any

import jsonpatch
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from tests.manifests.test_any_manifest import PODS, STYLES, document
from tests.manifests.test_rewrite import operations
from tests.manifests.ugly import UGLY, WRITTEN_ANEW
from webhook.manifests.cut import cut, take_out
from webhook.manifests.layout import Exotic
from webhook.manifests.parse import NotParsed, compose, parse
from webhook.manifests.rewrite import rewrite


def undoing(pod: Any) -> list[dict[str, Any]]:
    """Give what takes out again what `operations` put in; parts that become empty go too."""
    found = []
    annotations = pod["metadata"]["annotations"]
    ours = [key for key in annotations if key.startswith("evenkeel.dev/")]
    if len(ours) == len(pod["metadata"]["annotations"]):
        found += ["/metadata" if len(pod["metadata"]) == 1 else "/metadata/annotations"]
    else:
        found += [f"/metadata/annotations/{key.replace('/', '~1')}" for key in ours]
    for part in ("initContainers", "volumes"):
        found.append(f"/spec/{part}" if len(pod["spec"][part]) == 1 else f"/spec/{part}/0")
    return [{"op": "remove", "path": path} for path in found]


def there_and_back(text: str) -> tuple[str, bool, Any]:
    """Give the text that comes back, whether it was edited in place both times, and the value that it should have."""
    read = document(text)
    there = rewrite(read, [((), operations(read.value))])
    between = document(there.text)
    removal = undoing(between.value)
    back = take_out(between, [((), removal)])
    return back.text, not (there.anew or back.anew), jsonpatch.apply_patch(between.value, removal)


def had_empty_parts(value: Any) -> bool:
    """Say whether the author wrote a part that is null or empty and is gone afterwards."""
    places = [(value, "metadata"), *((value.get("metadata") or {}, key) for key in ("annotations",))]
    places += [(value["spec"], key) for key in ("initContainers", "volumes")]
    return any(key in holder and not holder[key] for holder, key in places)


def is_yaml(text: str) -> bool:
    """Say whether a text is YAML too: JSON with some control characters or surrogates is none, and is written anew."""
    try:
        return compose(text) is not None
    except NotParsed:
        return False


def check(text: str) -> None:
    """Check one text."""
    back, in_place, wanted = there_and_back(text)

    assert wanted == parse(back)
    if in_place and is_yaml(text) and not had_empty_parts(parse(text)):
        assert back == text


@given(PODS, STYLES)
def test_any_yaml_comes_back(pod: dict, style: dict) -> None:
    """Whatever the style a program wrote it in."""
    text = yaml.dump(pod, Dumper=yaml.SafeDumper, **style)
    try:
        value = parse(text)
    except NotParsed:
        return  # PyYAML writes a few things that it does not read again
    if isinstance(value, dict) and "spec" in value:
        check(text)


@given(PODS, st.none() | st.integers(0, 4), st.booleans())
def test_any_json_comes_back(pod: dict, indent: int | None, ascii_only: bool) -> None:
    """On one line or over lines."""
    check(json.dumps(pod, indent=indent, ensure_ascii=ascii_only))


@given(st.sampled_from([*UGLY.values(), *WRITTEN_ANEW.values()]), st.data())
def test_a_damaged_manifest_comes_back_too(text: str, data: st.DataObject) -> None:
    """If it still is a Pod's: a character lost, doubled or replaced gives layouts that nobody thinks of."""
    place = data.draw(st.integers(0, len(text)))
    damage = data.draw(st.sampled_from(["", " ", "\n", "\t", "{", "]", ":", "- ", "&a ", "#", "'", "|", "---\n"]))
    damaged = text[:place] + damage + text[place + data.draw(st.integers(0, 2)) :]
    try:
        operations(parse(damaged))
        undoing(document(rewrite(document(damaged), [((), operations(parse(damaged)))]).text).value)
    except (NotParsed, TypeError, ValueError, AttributeError, KeyError):
        return

    assert there_and_back(damaged)[2] == parse(there_and_back(damaged)[0])


@pytest.mark.parametrize(
    ("old", "new"),
    [
        pytest.param("{a: 1, b: 2, c: 3}", "{a: 1, c: 3}", id="flow, in the middle"),
        pytest.param("{a: 1, b: 2, c: 3}", "{c: 3}", id="flow, the first ones"),
        pytest.param("{a: 1, b: 2, c: 3}", "{a: 1}", id="flow, the last ones"),
        pytest.param("{a: 1, b: 2, c: 3}", "{b: 2}", id="flow, both ends"),
        pytest.param("{a: 1, ? b : 2}", "{? b : 2}", id="flow, a key with its mark"),
        pytest.param("[a, b, a, c]", "[b, c]", id="items of a flow"),
        pytest.param("- a  # x\n# about b\n- b\n", "- a  # x\n# about b\n", id="an item, not the comment above"),
        pytest.param("a: 1\n# on b\nb:\n  c: |\n    x\n\n    y\n# end\n", "a: 1\n# on b\n# end\n", id="a block scalar"),
        pytest.param("a:\n  b: 1\n  c: 2 # c\nd: 3", "a:\n  b: 1\nd: 3", id="the last of a mapping"),
        pytest.param("a: 1\nb: 2", "a: 1\n", id="the last line without a line break"),
        pytest.param("- a: 1\n  b: 2\n", "- a: 1\n", id="a key in a list's item"),
    ],
)
def test_only_what_goes_is_cut(old: str, new: str) -> None:
    """Comments that stand above or below stay."""
    assert new == cut(old, yaml.safe_load(old), yaml.safe_load(new))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        pytest.param("- a: 1\n  b: 2\n", "- b: 2\n", id="the key beside the dash"),
        pytest.param("a: 1\n", "a: 2\n", id="another value"),
        pytest.param("a: 1\n", "{}", id="nothing left"),
        pytest.param("[a, b]", "[c]", id="another item"),
        pytest.param("x: &x {a: 1, b: 2}\nz: *x\n", "x: {a: 1, b: 2}\nz: {a: 1}\n", id="an alias"),
        pytest.param("x: &x {a: 1}\nz: {<<: *x, b: 2}\n", "x: {a: 1}\nz: {a: 1}\n", id="a merge key"),
        pytest.param("", "a: 1", id="no text"),
    ],
)
def test_what_cannot_be_cut_is_left_to_be_written_anew(old: str, new: str) -> None:
    """It is not guessed at."""
    with pytest.raises(Exotic):
        cut(old, yaml.safe_load(old), yaml.safe_load(new))
