"""Container runtimes, for sidecars that are to listen on ports below 1024."""

from __future__ import annotations

from typing import Any

import pytest

from tests.check import world
from webhook.check.judge_runtimes import judge_runtimes
from webhook.check.model import Result


def node(runtime: str | None, name: str = "a", system: str = "linux") -> Any:
    """Make a Node that runs this."""
    made: Any = world.node(name, system=system)
    if runtime is not None:
        made["status"]["nodeInfo"]["containerRuntimeVersion"] = runtime
    return made


@pytest.mark.parametrize(
    ("runtime", "result"),
    [
        ("containerd://2.0.0", Result.OK),
        ("containerd://2.1.4-rc.1", Result.OK),
        ("containerd://v2.2.0", Result.OK),
        ("containerd://1.7.27", Result.WARNING),
        ("containerd://1.7.23-k3s2", Result.OK),
        ("docker://20.10.0", Result.OK),
        ("docker://19.3.15", Result.WARNING),
        ("cri-o://1.36.0", Result.WARNING),
        ("kata", Result.WARNING),
        ("", Result.WARNING),
        (None, Result.WARNING),
    ],
)
def test_a_runtime_is_judged_by_its_name_and_version(runtime: str | None, result: Result) -> None:
    """What is unknown may not allow it."""
    assert judge_runtimes([node(runtime)]).result is result


def test_offenders_are_named_with_what_would_do_and_what_is_right_is_told() -> None:
    """Not those on Windows, which have no sidecars; and no more than a screen holds."""
    many = [node("cri-o://1.36.0", f"n{number}") for number in range(7)]

    found = judge_runtimes([*many, node("containerd://2.1.0"), node("containerd://1.6.0", "w", "windows")])

    assert found.found[0] == "node n0 runs cri-o://1.36.0"
    assert found.found[-1] == "and 2 more"
    assert len(found.found) == 6
    assert "net.ipv4.ip_unprivileged_port_start=0" in found.remedy[0]
    assert judge_runtimes([node("containerd://2.1.0"), node("docker://28.0.1", "b")]).found == (
        "containerd://2.1.0, docker://28.0.1",
    )
