"""What every test may use: the switch that rewrites golden files, and the profiles of hypothesis."""

from __future__ import annotations

import os

import pytest
from hypothesis import HealthCheck, settings

settings.register_profile(
    "explore", deadline=None, database=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much]
)
# The same examples on every run: a change is never refused for something that it did not change.
settings.register_profile("same", settings.get_profile("explore"), derandomize=True, print_blob=True)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "same"))


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the switch for golden files."""
    parser.addoption(
        "--update-golden",
        action="store_true",
        help="write every golden file anew, and fail the run so that somebody reads the difference",
    )


@pytest.fixture
def update_golden(request: pytest.FixtureRequest) -> bool:
    """Say whether golden files are to be written anew."""
    return bool(request.config.getoption("--update-golden"))
