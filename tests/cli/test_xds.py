"""The command that pushes endpoints: its options, and how its mistakes are told."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from tests.cli.kit import Shell


def test_xds_hands_its_options_to_the_program(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each once; its port is its own, not that of admissions."""
    seen: list[Any] = []
    monkeypatch.setattr("webhook.compose.runner.run", lambda _, settings: seen.append(settings) or 0)
    monkeypatch.setattr("os.environ", dict(os.environ))
    shell.write("settings.yaml", "xds: {unauthenticated_namespaces: [shop], review_seconds: 60}\n")

    ran = shell.run(
        "xds", "--tls-cert", "c.pem", "--tls-key", "k.pem", "--port", "1234", "--health-port", "4321",
        "--settings", "settings.yaml",
    )  # fmt: skip

    assert ran == (0, "", [])
    assert (seen[0].sidecar.xds_port, seen[0].port, seen[0].health_port) == (1234, 10250, 4321)
    assert (seen[0].tls_cert, seen[0].tls_key) == (Path("c.pem"), Path("k.pem"))
    assert (seen[0].xds.unauthenticated_namespaces, seen[0].xds.review_seconds) == (frozenset({"shop"}), 60.0)


def test_a_wrong_option_is_told_as_it_was_written(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    """Exit code 2, before anything begins."""
    monkeypatch.setattr("os.environ", dict(os.environ))
    problem = "evenkeel: --port: found '70000'; accepted: 0 to 65535"

    assert shell.run("xds", "--port", "70000") == (2, "", [problem])
