"""One container's life: started, probed, started again, stopped."""

import asyncio
import contextlib
import signal
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from webhook.node import checks
from webhook.node.changes import Changes
from webhook.node.errors import ContainerError, NodeError
from webhook.node.launch import Launch
from webhook.node.probes import Probe, Verdict, follow
from webhook.node.process import Command, Process
from webhook.node.status import ContainerStatus

_FIRST_DELAY: Final = 0.5
_LONGEST_DELAY: Final = 10.0
_CANNOT_START: Final = 128
MINIMUM_GRACE: Final = 2.0
"""Seconds that the kubelet gives every container, even if the Pod's time is over."""


class Container:
    """A container of a Pod; `supervise` is its life, `stop` ends it for good."""

    def __init__(self, launch: Launch, policy: str, changes: Changes) -> None:
        self.launch = launch
        self.policy = policy
        """Its own restart policy: Always, OnFailure or Never."""
        self.status = ContainerStatus(launch.name)
        self.begun = False
        """Set by whoever starts `supervise`."""
        self.finished = asyncio.Event()
        """Set when it has ended for good."""
        self._changes = changes
        self._stopping = asyncio.Event()
        self._starting = asyncio.Lock()
        self._process: Process | None = None

    async def supervise(self) -> None:
        """Run it, again and again as its policy says, until it has ended for good or was stopped."""
        delay = _FIRST_DELAY
        try:
            while await self._run_once() and not self._stopping.is_set():
                self._set(state="waiting", reason=self._waiting_reason())
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._stopping.wait(), delay)
                delay = min(2 * delay, _LONGEST_DELAY)
                self._set(restarts=self.status.restarts + 1)
        finally:
            await self._kill()
            self.finished.set()
            self._changes.tell()

    async def stop(
        self, grace: float, *, minimum: float = MINIMUM_GRACE, turn: Sequence[asyncio.Event] = (), hooks: bool = True
    ) -> None:
        """End it for good: preStop hook, its turn, SIGTERM, and SIGKILL when the grace is over."""
        self._stopping.set()
        if not self.begun:
            return
        deadline = time.monotonic() + grace
        # A start that is under way is seen through, else its process would be missed.
        async with self._starting:
            process = self._process
        if process is not None:
            await self._shut(process, deadline, minimum=minimum, turn=turn, hooks=hooks)
        await self.finished.wait()

    async def execute(self, command: Sequence[str]) -> tuple[int, str]:
        """Run a command in the container; NodeError if it does not run or the command cannot be started."""
        process = self._process
        if process is None:
            raise NodeError(f"container {self.status.name!r} does not run: {self.status}")
        launch, room = self.launch, self.launch.room
        order = Command(command, launch.env, launch.working_dir, room.namespaces, join=process.pid)
        with tempfile.TemporaryFile(dir=room.folder) as output:
            inner = await Process.start(order, output)
            try:
                code = await inner.wait()
            except asyncio.CancelledError:
                await inner.kill()
                raise
            output.seek(0)
            return code, output.read().decode(errors="replace")

    async def _run_once(self) -> bool:
        """Run it once; say whether its policy wants it again."""
        try:
            async with self._starting:
                if self._stopping.is_set():
                    return False
                self._process = await self.launch.start()
        except ContainerError as error:
            return self._not_started(error)
        self._set(state="running", reason="", message="", started_at=time.time(), ended_at=None)
        code = await self._attend(self._process)
        self._set(
            state="terminated", reason="Completed" if code == 0 else "Error", exit_code=code, ended_at=time.time(),
            started=False, ready=False,
        )  # fmt: skip
        return self._again(code)

    async def _attend(self, process: Process) -> int:
        probing = asyncio.create_task(self._probe(process), name=f"probes of {self.status.name}")
        try:
            code = await process.wait()
            self._process = None
        finally:
            probing.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await probing
        return code

    def _again(self, code: int) -> bool:
        return self.policy == "Always" or (self.policy == "OnFailure" and code != 0)

    def _not_started(self, error: ContainerError) -> bool:
        now = time.time()
        self._set(reason=error.reason, message=str(error), started=False, ready=False)
        if error.reason != "StartError":
            # Wrong as long as the document is: the kubelet tries for ever, whatever the policy.
            self._set(state="waiting")
            return True
        self._set(state="terminated", exit_code=_CANNOT_START, started_at=now, ended_at=now)
        return self._again(_CANNOT_START)

    def _waiting_reason(self) -> str:
        return "CrashLoopBackOff" if self.status.state == "terminated" else self.status.reason

    async def _probe(self, process: Process) -> None:
        began = time.monotonic()
        if not await self._after_start(process):
            return
        startup = self.launch.document.get("startupProbe")
        if startup and not await self._startup(Probe(startup), process, began):
            return
        readiness, liveness = (self.launch.document.get(name) for name in ("readinessProbe", "livenessProbe"))
        self._set(started=True, ready=not readiness)
        async with asyncio.TaskGroup() as group:
            if readiness:
                group.create_task(self._readiness(Probe(readiness), began))
            if liveness:
                group.create_task(self._liveness(Probe(liveness), process, began))

    async def _after_start(self, process: Process) -> bool:
        hook = (self.launch.document.get("lifecycle") or {}).get("postStart")
        problem = await self._act(hook) if hook else None
        if problem:
            await self._fail(process, f"postStart hook failed: {problem}")
        return problem is None

    async def _startup(self, probe: Probe, process: Process, began: float) -> bool:
        found: list[Verdict] = []

        async def heed(verdict: Verdict) -> bool:
            found.append(verdict)
            return False

        await follow(probe, self._act, heed, age=time.monotonic() - began)
        if not found[0].good:
            await self._fail(process, f"startup probe failed: {found[0].problem}")
        return found[0].good

    async def _readiness(self, probe: Probe, began: float) -> None:
        async def heed(verdict: Verdict) -> bool:
            message = "" if verdict.good else f"readiness probe failed: {verdict.problem}"
            if (verdict.good, message) != (self.status.ready, self.status.message):
                self._set(ready=verdict.good, message=message)
            return True

        await follow(probe, self._act, heed, age=time.monotonic() - began)

    async def _liveness(self, probe: Probe, process: Process, began: float) -> None:
        async def heed(verdict: Verdict) -> bool:
            if not verdict.good:
                await self._fail(process, f"liveness probe failed: {verdict.problem}")
            return verdict.good

        await follow(probe, self._act, heed, age=time.monotonic() - began)

    async def _fail(self, process: Process, message: str) -> None:
        self._set(started=False, ready=False, message=message)
        await self._shut(process, time.monotonic() + self.launch.room.grace)

    async def _shut(
        self, process: Process, deadline: float, *, minimum: float = MINIMUM_GRACE,
        turn: Sequence[asyncio.Event] = (), hooks: bool = True,
    ) -> None:  # fmt: skip
        hook = (self.launch.document.get("lifecycle") or {}).get("preStop")
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(max(0.0, deadline - time.monotonic())):
                if hook and hooks:
                    await self._act(hook)
                for event in turn:
                    await event.wait()
        process.signal(signal.SIGTERM)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(process.wait(), max(deadline - time.monotonic(), minimum))
        await process.kill()

    async def _act(self, action: Mapping[str, Any]) -> str | None:
        target = checks.Target(self.launch.room.address, self.launch.ports, self.execute)
        return await checks.perform(action, target)

    async def _kill(self) -> None:
        if self._process is not None:
            await self._process.kill()
            self._process = None

    def _set(self, **changes: Any) -> None:
        self.status = replace(self.status, **changes)
        self._changes.tell()
