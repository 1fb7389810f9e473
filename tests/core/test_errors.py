"""The errors that are raised on purpose."""

from __future__ import annotations

import pytest

from webhook.core import errors


@pytest.mark.parametrize("kind", [errors.PodRejected, errors.ManifestError, errors.SettingsError, errors.TemplateError])
def test_every_problem_is_carried(kind: type[errors.PodRejected]) -> None:
    """Each on its own, and all in the message."""
    error = kind(["one", "two"])

    assert error.problems == ("one", "two")
    assert str(error) == "one; two"


def test_all_have_one_root() -> None:
    """Whoever catches it catches every mistake that is somebody's, and no bug."""
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, Exception)]

    assert len(kinds) >= 8
    assert [kind for kind in kinds if not issubclass(kind, errors.EvenkeelError)] == []
