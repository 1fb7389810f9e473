"""Equal parts of a document become one object."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from webhook.core.sharing import share

SCALARS = st.none() | st.booleans() | st.integers(-2, 2) | st.floats(-2, 2) | st.sampled_from(["", "1", "a"])
DOCUMENTS = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3)
)


def test_equal_objects_and_lists_become_one() -> None:
    """Wherever they stand."""
    shared = share([{"a": [1]}, {"b": {"a": [1]}}, [1]])

    assert shared[0] is shared[1]["b"]
    assert shared[0]["a"] is shared[2]


def test_what_only_looks_equal_stays_apart() -> None:
    """To Python 1, 1.0 and True are equal; to a reader of YAML they are not."""
    shared = share([{"a": 1}, {"a": True}, {"a": 1.0}, {"a": "1"}])

    assert 4 == len({id(part) for part in shared})
    assert [int, bool, float, str] == [type(part["a"]) for part in shared]


def test_empty_parts_are_let_be() -> None:
    """A reference would be longer than what it stands for."""
    shared = share([{}, {}, [], []])

    assert 4 == len({id(part) for part in shared})


@given(DOCUMENTS)
def test_the_document_stays_equal_and_unchanged(document: Any) -> None:
    """To the type of every value."""
    before = repr(document)

    assert before == repr(share(document))
    assert before == repr(document)
