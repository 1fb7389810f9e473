"""The servers under measurement, each a process of its own, pinned to one core."""

from __future__ import annotations

import contextlib
import json
import os
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from machine import Cores, pinned
from reviews import services

from webhook.demo.certificate import CertificateFiles, write_certificate

_START_SECONDS: Final = 30.0
_RIVALS: Final = Path(__file__).with_name("rivals.py")


@dataclass(frozen=True, slots=True)
class Served:
    """A server that listens."""

    pid: int
    port: int
    log: Path

    def admissions(self, skip: int) -> list[dict[str, Any]]:
        """Give the log's lines of requests but for the first bytes; see `log_size`."""
        with self.log.open("rb") as log:
            log.seek(skip)
            lines = [json.loads(line) for line in log if line.endswith(b"\n")]
        return [line for line in lines if line.get("event") == "admission"]

    def log_size(self) -> int:
        """Give the bytes logged so far."""
        return self.log.stat().st_size


@dataclass(frozen=True, slots=True)
class Field:
    """All servers, and how to trust them."""

    evenkeel: Served
    ceiling: Served
    fastapi: Served
    context: ssl.SSLContext

    def all(self) -> dict[str, Served]:
        """Give them by name."""
        return {"evenkeel": self.evenkeel, "ceiling": self.ceiling, "fastapi": self.fastapi}


@contextmanager
def start_all(folder: Path, cores: Cores) -> Iterator[Field]:
    """Start every server, and end all of them when the block is left."""
    files = write_certificate(folder, "127.0.0.1")
    catalog = folder / "services.json"
    catalog.write_text(json.dumps(services()))
    with ExitStack() as stack:
        evenkeel = stack.enter_context(_started(_evenkeel(files, catalog), folder / "evenkeel.log", cores))
        rivals = [
            stack.enter_context(_started(_rival(which, files), folder / f"{which}.log", cores))
            for which in ("ceiling", "fastapi")
        ]
        yield Field(evenkeel, *rivals, ssl.create_default_context(cafile=str(files.ca)))


def _evenkeel(files: CertificateFiles, catalog: Path) -> list[str]:
    arguments = {"--tls-cert": files.cert, "--tls-key": files.key, "--catalog": catalog, "--port": 0}
    flags = [str(part) for pair in arguments.items() for part in pair]
    return [sys.executable, "-m", "webhook", "serve", *flags, "--health-port", "0"]


def _rival(which: str, files: CertificateFiles) -> list[str]:
    return [sys.executable, str(_RIVALS), which, str(files.cert), str(files.key)]


@contextmanager
def _started(command: list[str], log: Path, cores: Cores) -> Iterator[Served]:
    settings = {"EVENKEEL_SHUTDOWN_DELAY_SECONDS": "0", "EVENKEEL_HOST": "127.0.0.1"}
    with log.open("wb") as out, pinned(cores.server):
        process = subprocess.Popen(command, stdout=out, stderr=out, env={**os.environ, **settings})
    try:
        yield Served(process.pid, _port(process, log), log)
    finally:
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(timeout=10)
        process.kill()
        process.wait()


def _port(process: subprocess.Popen[bytes], log: Path) -> int:
    """Wait until a server says where it listens: a line of our log, or a bare number."""
    end = time.monotonic() + _START_SECONDS
    while process.poll() is None and time.monotonic() < end:
        *lines, _ = log.read_text().split("\n")
        for line in lines:
            said = json.loads(line)
            if isinstance(said, int):
                return said
            if said.get("server") == "admission":
                return int(said["port"])
        time.sleep(0.02)
    raise RuntimeError(f"{command_of(process)} does not listen: {log.read_text()[-2000:]}")


def command_of(process: subprocess.Popen[bytes]) -> str:
    """Give the end of a process's command, for messages."""
    return " ".join(str(part) for part in list(process.args)[1:4])  # type: ignore[arg-type]
