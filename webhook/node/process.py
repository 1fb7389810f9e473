"""Starts the small programs that go into a Pod's namespaces, and follows what they report."""

import asyncio
import contextlib
import marshal
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import IO, Final

from webhook.node.errors import ContainerError

_ROOT: Final = str(Path(__file__).parents[2])
_KILLED: Final = 137
_START_LIMIT: Final = 30.0
"""Seconds; a start takes a thirtieth of one."""
Step = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Command:
    """What `webhook.node.enter` shall run, and where."""

    argv: Sequence[str]
    env: Mapping[str, str]
    cwd: str = "/"
    namespaces: Sequence[int] = ()
    """Open descriptors of the Pod's network, UTS and IPC namespaces."""
    join: int = 0
    """The process whose mounts, processes and user to share; 0 makes a new container."""
    root: str = ""
    """An empty folder on which a new container's root is built."""
    steps: Sequence[Step] = ()
    """How it is built: see `rootfs.plan`."""
    user: tuple[int, int] = (0, 0)
    """The uid and gid that the process sees itself as."""

    def packed(self) -> bytes:
        """Give the order as it goes over the socket."""
        data = marshal.dumps({**asdict(self), "env": dict(self.env), "namespaces": list(self.namespaces)})
        return len(data).to_bytes(8, "big") + data


@dataclass(slots=True)
class Helper:
    """One running program of ours and the conversation with it; closing it ends and reaps it."""

    child: subprocess.Popen[bytes]
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    @classmethod
    async def start(
        cls, module: str, *arguments: str, output: IO[bytes] | None = None, keep: Sequence[int] = ()
    ) -> "Helper":
        """Start `module.main()` in a Python of its own, with a socket as standard input."""
        ours, theirs = socket.socketpair()
        code = f"import sys; sys.path.insert(0, {_ROOT!r}); from {module} import main; main()"
        with theirs:
            # No site and no environment: it starts in a third of the time and takes nothing of ours along.
            child = subprocess.Popen(  # noqa: ASYNC220  # vfork and exec: a millisecond
                [sys.executable, "-I", "-S", "-c", code, *arguments],
                stdin=theirs.fileno(), stdout=output, stderr=output, pass_fds=tuple(keep), env={}, close_fds=True,
            )  # fmt: skip
        reader, writer = await asyncio.open_unix_connection(sock=ours)
        return cls(child, reader, writer)

    async def hear(self) -> list[str]:
        """Give the next line, cut at its first space; nothing when the program has ended."""
        line = await self.reader.readline()
        return line.decode().rstrip("\n").split(" ", 1) if line else []

    async def say(self, data: bytes) -> None:
        """Send bytes; a program that has died already is not an error here, `hear` will tell."""
        with contextlib.suppress(ConnectionError):
            self.writer.write(data)
            await self.writer.drain()

    async def close(self) -> None:
        """End the program if it still runs, and reap it."""
        self.child.kill()
        self.writer.close()
        with contextlib.suppress(ConnectionError):
            await self.writer.wait_closed()
        # It has been killed: this waits for microseconds.
        self.child.wait()


@dataclass(slots=True)
class Process:
    """A command that runs in a container; made by `start`."""

    pid: int
    _helper: Helper
    _code: int | None = field(default=None)
    _following: asyncio.Lock = field(default_factory=asyncio.Lock)

    @classmethod
    async def start(cls, command: Command, output: IO[bytes]) -> "Process":
        """Start the command; ContainerError says why it could not be."""
        helper = await Helper.start("webhook.node.enter", output=output, keep=command.namespaces)
        try:
            async with asyncio.timeout(_START_LIMIT):
                await helper.say(command.packed())
                answer = await helper.hear()
        except TimeoutError:
            await helper.close()
            raise ContainerError("StartError", f"{command.argv[0]}: not started within {_START_LIMIT:g} s") from None
        except BaseException:
            await helper.close()
            raise
        if answer[:1] != ["started"]:
            await helper.close()
            raise _cannot_start(command, answer)
        return cls(int(answer[1]), helper)

    async def wait(self) -> int:
        """Wait for the end and give the exit code, 128 + N for signal N; may be awaited by several."""
        # One reads the socket at a time; whoever comes after it finds the code.
        async with self._following:
            if self._code is None:
                answer = await self._helper.hear()
                self._code = int(answer[1]) if answer[:1] == ["ended"] else _KILLED
                await self._helper.close()
        return self._code

    async def kill(self) -> None:
        """End the command by SIGKILL and wait until it is gone."""
        self.signal(signal.SIGKILL)
        await self.wait()

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the command; none if it has ended."""
        if self._code is None:
            # SIGKILL cannot be handed on by a handler, so another one stands for it.
            self._helper.child.send_signal(signal.SIGUSR2 if number == signal.SIGKILL else number)


def _cannot_start(command: Command, answer: Sequence[str]) -> ContainerError:
    if answer[:1] != ["failed"]:
        return ContainerError("StartError", f"{command.argv[0]}: ended before the command was started")
    number, _, text = answer[1].partition(" ")
    return ContainerError("StartError", f"{' '.join(command.argv)[:200]!r}: {text or os.strerror(int(number))}")
