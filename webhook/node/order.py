"""The order in which a Pod's containers start and stop."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from webhook.node.changes import Changes
from webhook.node.container import MINIMUM_GRACE, Container
from webhook.node.launch import Launch


@dataclass(frozen=True, slots=True)
class Containers:
    """A Pod's containers, each kind in the order of the document."""

    inits: tuple[Container, ...]
    """Init containers and native sidecars as they follow each other."""
    apps: tuple[Container, ...]

    @property
    def sidecars(self) -> tuple[Container, ...]:
        """The native sidecars: init containers that are always restarted."""
        return tuple(one for one in self.inits if is_sidecar(one.launch.document))


def is_sidecar(init: Mapping[str, Any]) -> bool:
    """Say whether an init container is a native sidecar."""
    return init.get("restartPolicy") == "Always"


def containers(launches: Sequence[Launch], spec: Mapping[str, Any], changes: Changes) -> Containers:
    """Make the containers of a Pod from launches that come in the document's order, init containers first."""
    policy = spec.get("restartPolicy") or "Always"
    first = len(spec.get("initContainers") or ())
    # An init container has to succeed once: for it Always means OnFailure, unless it is a sidecar.
    init_policy = "OnFailure" if policy == "Always" else policy
    inits = (
        Container(launch, "Always" if is_sidecar(launch.document) else init_policy, changes)
        for launch in launches[:first]
    )
    return Containers(tuple(inits), tuple(Container(launch, policy, changes) for launch in launches[first:]))


@dataclass(slots=True)
class Order:
    """Runs the containers of one Pod in order, and stops them in order."""

    containers: Containers
    changes: Changes
    phase: str = "Pending"
    initialised: bool = False
    _stopping: bool = False
    _tasks: list[asyncio.Task[None]] = field(default_factory=list)

    @property
    def everything(self) -> tuple[Container, ...]:
        """All containers, init containers first."""
        return (*self.containers.inits, *self.containers.apps)

    @property
    def all_ready(self) -> bool:
        """Whether every app container and every native sidecar is ready."""
        return all(one.status.ready for one in (*self.containers.sidecars, *self.containers.apps))

    async def run(self, grace: float) -> None:
        """Run the Pod until all its containers have ended for good; raises only what is a fault of ours."""
        try:
            if await self._initialise():
                self.initialised = True
                self._set("Running")
                started = [self._start(one) for one in self.containers.apps]
                await asyncio.gather(*started)
            # Whoever deletes the Pod stops its sidecars too, with hooks or without.
            if not self._stopping:
                await self.stop(grace)
            await asyncio.gather(*self._tasks)
        except BaseException:
            await self._abandon()
            raise
        finally:
            self._set(self._outcome())

    async def stop(self, grace: float, *, minimum: float = MINIMUM_GRACE, hooks: bool = True) -> None:
        """Stop all containers: the apps at once, then the native sidecars, the one that started last first."""
        self._stopping = True
        self.changes.tell()
        sidecars = self.containers.sidecars
        plain = [one for one in self.everything if one not in sidecars]
        stops = [one.stop(grace, minimum=minimum, hooks=hooks) for one in plain if one.begun]
        for place, one in enumerate(sidecars):
            if one.begun:
                before = [other.finished for other in (*plain, *sidecars[place + 1 :]) if other.begun]
                stops.append(one.stop(grace, minimum=minimum, turn=before, hooks=hooks))
        await asyncio.gather(*stops)

    async def _initialise(self) -> bool:
        for one in self.containers.inits:
            if self._stopping:
                return False
            task = self._start(one)
            if one in self.containers.sidecars:
                await self._until_started(one, task)
            else:
                await task
            if task.done() and (task.exception() or one.status.exit_code != 0):
                return False
        return not self._stopping

    async def _until_started(self, one: Container, task: asyncio.Task[None]) -> None:
        await self.changes.until(lambda: one.status.started or self._stopping or task.done())

    def _start(self, one: Container) -> asyncio.Task[None]:
        one.begun = True
        task = asyncio.create_task(one.supervise(), name=f"container {one.status.name}")
        self._tasks.append(task)
        return task

    async def _abandon(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _outcome(self) -> str:
        codes = [one.status.exit_code for one in self.containers.apps]
        return "Succeeded" if self.initialised and all(code == 0 for code in codes) else "Failed"

    def _set(self, phase: str) -> None:
        self.phase = phase
        self.changes.tell()
