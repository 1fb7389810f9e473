"""One Pod on the node: its containers in order, its readiness, its end."""

import asyncio
import copy
import shutil
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from webhook.node.changes import Changes
from webhook.node.container import MINIMUM_GRACE, Container
from webhook.node.errors import NodeError
from webhook.node.launch import Launch, Room
from webhook.node.order import Order, containers
from webhook.node.status import ContainerStatus
from webhook.node.zone import Endpoint

_ENDED = ("Succeeded", "Failed")


class Pod:
    """A Pod that runs; made by `Node.run`."""

    def __init__(
        self, document: dict[str, Any], launches: Sequence[Launch], room: Room, *, changed: Callable[[], None],
        leave: Callable[["Pod"], Awaitable[None]], projection_delay: float,
    ) -> None:  # fmt: skip
        self.document = document
        """The Pod as admitted, with the annotations of now; replaced whole when they change."""
        self.room = room
        self.deleting = False
        self._changes = Changes(changed)
        self._order = Order(containers(launches, document["spec"], self._changes), self._changes)
        self._leave = leave
        self._delay = projection_delay
        self._life: asyncio.Task[None] | None = None
        self._deletion: asyncio.Task[None] | None = None
        self._projections: set[asyncio.Task[None]] = set()

    @property
    def name(self) -> str:
        """`NAMESPACE/NAME`."""
        return f"{self.document['metadata']['namespace']}/{self.document['metadata']['name']}"

    @property
    def address(self) -> str:
        """The Pod's IPv4 address."""
        return self.room.address

    @property
    def phase(self) -> str:
        """Pending, Running, Succeeded or Failed."""
        return self._order.phase

    @property
    def ready(self) -> bool:
        """Whether it may get traffic: every container and native sidecar ready, and nothing about to end."""
        return self.phase == "Running" and not self.deleting and self._order.all_ready

    @property
    def conditions(self) -> dict[str, bool]:
        """The Pod's conditions, as in its status."""
        return {
            "PodScheduled": True,
            "Initialized": self._order.initialised,
            "ContainersReady": self.phase == "Running" and self._order.all_ready,
            "Ready": self.ready,
        }

    @property
    def statuses(self) -> dict[str, ContainerStatus]:
        """Each container's status by its name, init containers first."""
        return {container.status.name: container.status for container in self._order.everything}

    def logs(self, container: str) -> str:
        """Give a container's output so far, of all its runs; NodeError if the Pod has no such container."""
        self._find(container)
        path = self.room.log(container)
        return path.read_text(errors="replace") if path.exists() else ""

    def start(self) -> None:
        """Begin the Pod's life; called once, by the node."""
        self._life = asyncio.create_task(self._order.run(self.room.grace), name=f"pod {self.name}")

    async def wait_ready(self, timeout: float) -> None:  # noqa: ASYNC109  # callers have one number
        """Wait until the Pod is ready.

        TimeoutError says what each container does and what it last wrote; NodeError, at once, that it has ended.
        """
        await self._wait(lambda: self.ready or self.phase in _ENDED, timeout, "ready")
        if not self.ready:
            raise NodeError(f"pod {self.name} will not be ready: {self.describe()}")

    async def wait_started(self, container: str, timeout: float) -> None:  # noqa: ASYNC109
        """Wait until a container is started (its startup probe has succeeded); TimeoutError as above."""
        found = self._find(container)
        await self._wait(lambda: found.status.started, timeout, f"started ({container})")

    async def wait_ended(self, timeout: float) -> str:  # noqa: ASYNC109
        """Wait until all its containers have ended for good and give the phase; TimeoutError as above."""
        await self._wait(lambda: self.phase in _ENDED, timeout, "ended")
        return self.phase

    async def wait_until(self, holds: Callable[["Pod"], bool], timeout: float, what: str) -> None:  # noqa: ASYNC109
        """Wait until something else about it holds; TimeoutError as above, with `what`."""
        await self._wait(lambda: holds(self), timeout, what)

    async def annotate(self, changes: Mapping[str, str | None]) -> None:
        """Set annotations, or take away those that are None; the downward API's files follow."""
        document = copy.deepcopy(self.document)
        merged = {**(document["metadata"].get("annotations") or {}), **changes}
        document["metadata"]["annotations"] = {key: value for key, value in merged.items() if value is not None}
        self.document = document
        if self._delay <= 0:
            self._refresh()
            return
        task = asyncio.create_task(self._refresh_later(), name=f"projection of {self.name}")
        # Kept until done: the Pod's deletion ends it.
        self._projections.add(task)
        task.add_done_callback(self._projections.discard)

    async def execute(self, container: str, command: Sequence[str]) -> tuple[int, str]:
        """Run a command in a container, as `kubectl exec`: exit code and output; NodeError if it does not run."""
        return await self._find(container).execute(command)

    async def delete(self, grace: float | None = None) -> None:
        """Delete the Pod as the kubelet does, and wait until nothing of it is left; may be called again."""
        seconds = self.room.grace if grace is None else grace
        await self._end(seconds, minimum=MINIMUM_GRACE if seconds > 0 else 0.0, hooks=seconds > 0)

    async def evict(self, grace: float) -> None:
        """Delete it in a hurry: no hooks, and no more than these seconds after SIGTERM."""
        await self._end(grace, minimum=grace, hooks=False)

    def endpoint(self) -> Endpoint | None:
        """Give what DNS must know of it; None once it has ended."""
        metadata, spec = self.document["metadata"], self.document["spec"]
        if self.phase in _ENDED:
            return None
        ports = {
            name: number for container in self._order.everything for name, number in container.launch.ports.items()
        }
        return Endpoint(
            metadata["namespace"], metadata.get("labels") or {}, self.address, self.ready,
            hostname=spec.get("hostname") or "", subdomain=spec.get("subdomain") or "", ports=ports,
        )  # fmt: skip

    def describe(self) -> str:
        """Say in a few lines what its containers do, with the last lines of those that are not well."""
        lines = [f"phase {self.phase}"]
        for status in self.statuses.values():
            lines.append(f"  {status}")
            if not status.ready:
                lines += [f"    | {line}" for line in self.logs(status.name).splitlines()[-5:]]
        return "\n".join(lines)

    async def _wait(self, holds: Callable[[], bool], seconds: float, what: str) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._changes.until(lambda: holds() or self._broken())
        except TimeoutError:
            text = f"pod {self.name} is not {what} after {seconds:g} s: {self.describe()}"
            raise TimeoutError(text) from None
        if not holds() and self._life is not None:
            # Its own task died of a fault of ours: show that instead of waiting in vain.
            await self._life

    def _broken(self) -> bool:
        return (
            self._life is not None and self._life.done() and not self._life.cancelled() and bool(self._life.exception())
        )

    async def _end(self, grace: float, *, minimum: float, hooks: bool) -> None:
        if self._deletion is None:
            self.deleting = True
            self._changes.tell()
            self._deletion = asyncio.create_task(self._finish(grace, minimum=minimum, hooks=hooks))
        await asyncio.shield(self._deletion)

    async def _finish(self, grace: float, *, minimum: float, hooks: bool) -> None:
        try:
            await self._order.stop(grace, minimum=minimum, hooks=hooks)
            if self._life is not None:
                await self._life
        finally:
            for task in self._projections:
                task.cancel()
            await asyncio.gather(*self._projections, return_exceptions=True)
            self.room.volumes.remove()
            shutil.rmtree(self.room.folder / "roots", ignore_errors=True)
            await self._leave(self)

    def _refresh(self) -> None:
        self.room.volumes.refresh(self.room.view())

    async def _refresh_later(self) -> None:
        await asyncio.sleep(self._delay)
        self._refresh()

    def _find(self, name: str) -> Container:
        for container in self._order.everything:
            if container.status.name == name:
                return container
        known = ", ".join(container.status.name for container in self._order.everything)
        raise NodeError(f"pod {self.name} has no container {name!r}; it has {known}")
