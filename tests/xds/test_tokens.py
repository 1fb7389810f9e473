"""Tokens as clients send them, and what they say of themselves."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.xds.auth import NOW, jwt
from webhook.core import names
from webhook.xds.tokens import read_token, shown


@pytest.mark.parametrize(
    "value",
    ["a.b.c", "Bearer a.b.c", "bearer a.b.c", "BEARER \t a.b.c", "  Bearer   a.b.c\n"],
)
def test_a_token_is_taken_raw_or_after_bearer(value: str) -> None:
    """Envoy sends the one, gRPC libraries the other."""
    assert shown({"authorization": value}) == "a.b.c"


@pytest.mark.parametrize("metadata", [{}, {"authorization": ""}, {"authorization": " "}, {"x": "a.b.c"}])
def test_no_token_is_none(metadata: dict[str, str]) -> None:
    """An empty one is none."""
    assert shown(metadata) is None


def test_a_token_tells_for_whom_and_how_long_it_is() -> None:
    """In its middle part."""
    token = read_token(jwt())

    assert token.audiences == {names.TOKEN_AUDIENCE}
    assert (token.issued, token.expires) == (NOW - 360, NOW + 3240)


@pytest.mark.parametrize(
    ("found", "expected"), [("one", {"one"}), (["a", "b"], {"a", "b"}), (None, set()), ([1, "a"], {"a"}), ({}, set())]
)
def test_an_audience_is_a_text_or_a_list(found: Any, expected: set[str]) -> None:
    """As the standard has it; what else stands there is none."""
    assert read_token(jwt(aud=found)).audiences == expected


def test_a_token_without_a_beginning_begins_at_its_end() -> None:
    """Its whole life is then what is left of it."""
    token = read_token(jwt({"exp": NOW}))

    assert token.issued == token.expires == NOW


@pytest.mark.parametrize(
    "text",
    ["x", "a.b", "a.b.c", "a.b.c.d", "..", "ä.ö.ü", "a b.c.d", "x" * 20_000, jwt([1]), jwt("text"), jwt(5)],
)
def test_what_is_no_token_is_said_to_be_none(text: str) -> None:
    """Without a look at its signature, which is not ours to judge."""
    with pytest.raises(ValueError, match="no JSON web token"):
        read_token(text)


@pytest.mark.parametrize("claims", [{}, {"exp": None}, {"exp": "soon"}, {"exp": True}])
def test_a_token_for_ever_is_refused(claims: dict[str, Any]) -> None:
    """Those of Secrets never expire; nobody can take them away."""
    with pytest.raises(ValueError, match="never expires"):
        read_token(jwt(claims))


@given(st.text(min_size=5))
def test_any_text_is_no_token_and_is_not_quoted(text: str) -> None:
    """Clients send what they like."""
    with pytest.raises(ValueError, match="JSON web token") as caught:
        read_token(text)

    assert text not in str(caught.value)


def test_a_token_is_not_shown_where_it_is_printed() -> None:
    """It has a name that lets nobody in."""
    assert "Token(...)" == repr(read_token(jwt()))
    assert read_token(jwt()).digest != read_token(jwt(sub="other")).digest
