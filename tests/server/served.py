"""A server in a process of its own, and callers that talk to it over TLS."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import ssl
import subprocess
import sys
import time
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self
from urllib.error import HTTPError

import orjson
import trustme
import yaml

from tests import builders
from tests.tls.pairs import Folder, trusting

_PROGRAM = """
import os, sys
from webhook.compose.runner import run
from webhook.compose.serve import serve
from webhook.core.errors import SettingsError
from webhook.settings import load_settings
try:
    sys.exit(run(serve, load_settings(None, os.environ, {})))
except SettingsError as error:
    print(*error.problems, sep="\\n", file=sys.stderr)
    sys.exit(2)
"""
CA = trustme.CA()
HOST = "127.0.0.1"


class Served:
    """One replica; its log is read as it comes."""

    def __init__(self, folder: Path, **settings: object) -> None:
        self.pair = Folder(folder)
        self.pair.put(CA.issue_cert("localhost"))
        self.catalog = folder / "services.yaml"
        self.catalog.write_text(yaml.safe_dump(builders.service("orders")))
        env = {
            "TLS_CERT": self.pair.certificate,
            "TLS_KEY": self.pair.key,
            "CATALOG": self.catalog,
            "HOST": HOST,
            "PORT": 0,
            "HEALTH_PORT": 0,
            "POLL_SECONDS": 0.05,
            "SHUTDOWN_DELAY_SECONDS": 0.1,
            **{name.upper(): value for name, value in settings.items()},
        }
        self.log_file = folder / "log"
        with self.log_file.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-c", _PROGRAM],
                env={"PATH": os.environ["PATH"], **{f"EVENKEEL_{name}": str(value) for name, value in env.items()}},
                cwd=Path(__file__).parents[2],
                stdout=log,
                stderr=log,
            )
        self.ports: dict[str, int] = {}

    def started(self) -> Served:
        """Wait until both ports are open."""
        for _ in range(1000):
            self.ports = {line["server"]: line["port"] for line in self.log() if line["event"] == "listening"}
            if len(self.ports) == 2:
                return self
            time.sleep(0.02)
        raise TimeoutError(self.log_file.read_text())

    def admissions(self, reason: str) -> list[dict[str, Any]]:
        """Give the lines of admissions that ended for a reason."""
        return [line for line in self.log() if line.get("reason") == reason]

    def log(self) -> list[dict[str, Any]]:
        """Give all lines so far; each must be JSON."""
        *lines, _ = self.log_file.read_bytes().split(b"\n")
        return [json.loads(line) for line in lines]

    def health(self, path: str) -> tuple[int, str]:
        """Ask the health port."""
        try:
            with urllib.request.urlopen(f"http://{HOST}:{self.ports['health']}{path}", timeout=5) as answer:
                return answer.status, answer.read().decode()
        except HTTPError as error:
            return error.code, error.read().decode()

    def stop(self) -> int:
        """Ask it to end, and give its exit code."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(timeout=15)
        finally:
            self.process.kill()
            self.process.wait()


def request(document: Any = None, **headers: object) -> bytes:
    """Write a request to /mutate as bytes."""
    body = document if isinstance(document, bytes) else orjson.dumps(document or builders.review(builders.pod()))
    fields = {"host": "x", "content-type": "application/json", "content-length": len(body), **headers}
    head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    return f"POST /mutate HTTP/1.1\r\n{head}\r\n".encode() + body


@dataclass
class Caller:
    """One keep-alive connection that goes to the next replica when it is asked to."""

    replicas: list[Served]
    reader: asyncio.StreamReader | None = None
    writer: asyncio.StreamWriter | None = None

    async def __aenter__(self) -> Self:
        await self.connect()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def connect(self) -> None:
        """Open a connection to the first replica."""
        port = self.replicas[0].ports["admission"]
        self.reader, self.writer = await asyncio.open_connection(
            HOST, port, ssl=trusting(CA), server_hostname="localhost"
        )

    async def call(self, message: bytes) -> tuple[int, bytes]:
        """Send a request and give status and body of the answer."""
        if self.writer is None:
            await self.connect()
        await self.write(message)
        return await self.answer()

    async def answer(self) -> tuple[int, bytes]:
        """Read one answer."""
        assert self.reader
        assert self.writer
        head = (await self.reader.readuntil(b"\r\n\r\n")).decode().lower()
        fields = dict(line.split(": ", 1) for line in head.split("\r\n")[1:] if line)
        body = await self.reader.readexactly(int(fields["content-length"]))
        if fields.get("connection") == "close":
            await self.close()
            self.replicas = self.replicas[1:] + self.replicas[:1]
        return int(head.split()[1]), body

    async def close(self) -> None:
        """Close the connection."""
        writer, self.reader, self.writer = self.writer, None, None
        if writer:
            writer.close()
            with contextlib.suppress(OSError, ssl.SSLError):
                await writer.wait_closed()

    async def write(self, message: bytes) -> None:
        """Send bytes and wait for nothing."""
        assert self.writer
        self.writer.write(message)
        await self.writer.drain()


class Load:
    """Some callers that send admissions one after the other, and what failed."""

    def __init__(self, replicas: list[Served], callers: int = 4) -> None:
        self.callers = [Caller(list(replicas)) for _ in range(callers)]
        self.answered = 0
        self.failures: list[str] = []
        self._tasks: list[asyncio.Task[None]] = []
        self._stop = False

    async def __aenter__(self) -> Self:
        self._tasks = [asyncio.create_task(self._run(caller)) for caller in self.callers]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._stop = True
        await asyncio.gather(*self._tasks)
        for caller in self.callers:
            await caller.close()

    async def _run(self, caller: Caller) -> None:
        message = request()
        while not self._stop:
            try:
                async with asyncio.timeout(5):
                    status, body = await caller.call(message)
            except (OSError, EOFError, TimeoutError, ssl.SSLError) as error:
                self.failures.append(repr(error))
                await caller.close()
            else:
                self.answered += 1
                if status != 200 or b'"patch"' not in body:
                    self.failures.append(f"{status} {body[:200]!r}")
            await asyncio.sleep(0.002)
