"""What became of a Pod, as plain values."""

from __future__ import annotations

from dataclasses import FrozenInstanceError

import pytest

from webhook.core.capture import Captures
from webhook.core.outcome import Outcome, Sidecar, Skip, SkipReason


def test_a_skip_is_no_injection() -> None:
    """Also where it warns."""
    assert not Outcome(Skip(SkipReason.DISABLED, "the pod says so"), warnings=("x",)).injected
    assert Outcome(None).injected


def test_codes_are_fit_for_metrics_and_audit() -> None:
    """Lower case with dashes, each once; a change of one would break somebody's dashboard."""
    codes = [str(reason) for reason in SkipReason]

    assert all(code.replace("-", "").isalpha() and code.islower() for code in codes)
    assert sorted(codes) == [
        *("already-injected", "annotations-full", "disabled", "host-network", "mirror-pod", "namespace-disabled"),
        *("no-trust", "not-create", "not-selected", "other-mesh", "port-conflict", "system-namespace", "windows-node"),
    ]


def test_a_sidecar_captures_nothing_unless_it_is_said() -> None:
    """Most do not."""
    assert Sidecar({}, {}, {}).captures == Captures((), ())


def test_what_is_decided_stays() -> None:
    """Nobody changes it behind somebody else's back."""
    with pytest.raises(FrozenInstanceError):
        Outcome(None).skip = Skip(SkipReason.DISABLED, "")  # type: ignore[misc]
