"""The command line against the test cluster, as a person runs it."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

_LIMIT: Final = 120.0


@dataclass(frozen=True, slots=True)
class Ran:
    """What a command said, and how it ended."""

    code: int
    out: str
    err: str

    def json(self) -> Any:
        """Read its output as JSON."""
        return json.loads(self.out)


async def evenkeel(*arguments: str, kubeconfig: Path) -> Ran:
    """Run `evenkeel` with a cluster's kubeconfig."""
    env = {key: value for key, value in os.environ.items() if not key.startswith("EVENKEEL_")}
    env |= {"KUBECONFIG": str(kubeconfig), "PYTHONUTF8": "1"}
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "webhook",
        *arguments,
        env=env,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(_LIMIT):
        out, err = await process.communicate()
    return Ran(process.returncode or 0, out.decode(), err.decode())


async def checked(kubeconfig: Path, *more: str) -> dict[str, dict[str, Any]]:
    """Run `evenkeel check` and give what it found by the check's name, with the exit code under `code`."""
    ran = await evenkeel("check", "--output", "json", *more, kubeconfig=kubeconfig)
    assert ran.out, ran.err
    found: dict[str, dict[str, Any]] = {one["name"]: one for one in ran.json()["checks"]}
    return {**found, "code": {"result": ran.code}}
