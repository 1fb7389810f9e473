from __future__ import annotations

import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from webhook.manifests.emit import dump
from webhook.manifests.parse import NotParsed, parse


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("yes", True), ("Off", False), ("y", True), ("N", False), ("true", True), ("tRUE", "tRUE"),
        ("~", None), ("null", None), ("nULL", "nULL"), ("", None),
        ("12", 12), ("+12", 12), ("-0", 0), ("017", 15), ("0o17", 15), ("0x1F", 31), ("-0b11", -3), ("1_000", 1000),
        ("08", 8), ("1e3", 1000), ("1.50", 1.5), (".5", 0.5), ("3.0", 3), ("1e400", "1e400"),
        ("18446744073709551615", 2**64 - 1), ("18446744073709551616", float(2**64)),
        ("2020-01-01", "2020-01-01"), ("2020-01-01T00:00:00Z", "2020-01-01T00:00:00Z"),
        ("12:30:45", "12:30:45"), ("190:20:30.15", "190:20:30.15"), ("1.2.3", "1.2.3"), ("0x", "0x"),
        ("'12'", "12"), ('"yes"', "yes"), ("!!str 12", "12"), ("!!float 3", 3), ("=", "="),
        ("!!timestamp 2020-01-01", "2020-01-01"),
    ],
)  # fmt: skip
def test_a_scalar_means_what_kubernetes_takes_it_for(text: str, expected: object) -> None:
    """The rules of sigs.k8s.io/yaml: YAML 1.1 booleans and octals, no dates, no base 60; numbers as in JSON."""
    value = parse(f"a: {text}")["a"]

    assert (expected, type(expected)) == (value, type(value))


@pytest.mark.parametrize(("key", "expected"), [("8080", "8080"), ("on", "true"), ("0x10", "16"), ("1.5", "1.5")])
def test_a_scalar_key_becomes_a_text(key: str, expected: str) -> None:
    """As on its way through JSON: such a ConfigMap is valid."""
    assert parse(f"{key}: x") == {expected: "x"}


def test_two_keys_that_become_one_are_told() -> None:
    """They would overwrite each other without a word."""
    with pytest.raises(NotParsed, match="the key 'true' again"):
        parse("on: 1\nyes: 2\n")


def test_merge_keys_give_way_to_own_keys_and_to_earlier_ones() -> None:
    """As YAML 1.1 has it, and nothing is shared between the parts."""
    value = parse("a: &a {x: [1], w: 1}\nb: &b {w: 2, z: 2}\nc:\n  z: 3\n  <<: [*a, *b]\n")

    assert value["c"] == {"x": [1], "w": 1, "z": 3}
    assert value["c"]["x"] is not value["a"]["x"]


PLAUSIBLE = st.from_regex(r"[-+]?[0-9a-fxob_.:eEyYnN~=<# '\"-]{0,8}", fullmatch=True)


@given(PLAUSIBLE | st.text())
@example("0...")
def test_a_written_text_is_read_as_that_text(text: str) -> None:
    """By our own reader, by PyYAML's YAML 1.1, and wherever it stands."""
    try:
        written = dump({"k": [text, {text: text}]})
    except UnicodeEncodeError:
        return  # a lone surrogate is no text that a file could hold
    expected = {"k": [text, {text: text}]}

    assert expected == parse(written)
    assert expected == yaml.safe_load(written)
