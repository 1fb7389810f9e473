"""Where a test's control plane programs come from, and what becomes of the test where they cannot be had."""

from __future__ import annotations

import os

import pytest

from tests.controlplane.build import GoAbsent, Programs, programs


def obtain(*families: str) -> Programs:
    """Give the programs; without Go the tests that need them are skipped, in CI they fail."""
    try:
        return programs(*families)
    except GoAbsent as error:
        if os.environ.get("CI") == "true":
            pytest.fail(str(error), pytrace=False)
        pytest.skip(str(error))
