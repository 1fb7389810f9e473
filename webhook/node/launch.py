"""From a container's document to a running process: image, environment, user, root and command."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, Final

from webhook.node.environment import command_line, environment, expand
from webhook.node.errors import ContainerError
from webhook.node.fields import PodView
from webhook.node.image import Image, own_folders
from webhook.node.process import Command, Process
from webhook.node.rootfs import Mount, plan
from webhook.node.store import Store
from webhook.node.volumes import Volumes

_FILES: Final = ("hosts", "resolv.conf", "hostname")


@dataclass(frozen=True, slots=True)
class Room:
    """What the containers of one Pod share."""

    folder: Path
    """Where the Pod's own files lie on the machine: `etc`, `logs`, `roots` and `volumes`."""
    address: str
    namespaces: tuple[int, ...]
    volumes: Volumes
    store: Store
    view: Callable[[], PodView]
    grace: float

    def log(self, container: str) -> Path:
        """Where a container's output goes."""
        return self.folder / "logs" / f"{container}.log"


@dataclass(slots=True)
class Launch:
    """How to start one container, as often as it must be."""

    document: Mapping[str, Any]
    image: Image
    room: Room
    env: dict[str, str] = field(default_factory=dict)
    """The environment of the last start."""

    @property
    def name(self) -> str:
        """The container's name."""
        return str(self.document["name"])

    @property
    def working_dir(self) -> str:
        """Where the command starts."""
        return expand(self.document.get("workingDir") or self.image.working_dir, self.env)

    @property
    def ports(self) -> dict[str, int]:
        """The declared ports that have a name."""
        return {port["name"]: port["containerPort"] for port in self.document.get("ports") or () if port.get("name")}

    async def start(self) -> Process:
        """Start the container; ContainerError says why it cannot be started."""
        with self._open_log() as log:
            return await Process.start(self._order(), log)

    def _order(self) -> Command:
        room, pod = self.room, self.room.view()
        self.env = environment(self.document, self.image, pod, room.store)
        root = room.folder / "roots" / self.name
        root.mkdir(parents=True, exist_ok=True)
        return Command(
            argv=command_line(self.document, self.image, self.env),
            env=self.env,
            cwd=self.working_dir,
            namespaces=room.namespaces,
            root=str(root),
            steps=self._steps(),
            user=_user(self._security("runAsNonRoot"), self._ids()),
        )

    def _steps(self) -> list[tuple[str, ...]]:
        return plan(
            {**own_folders(), **self.image.files},
            list(self._mounts()),
            read_only=bool(self._security("readOnlyRootFilesystem")),
            working_dir=self.working_dir,
        )

    def _mounts(self) -> Iterator[Mount]:
        mounted = list(self.room.volumes.mounts(self.document, self.env))
        taken = {mount.path for mount in mounted}
        yield from mounted
        for name in _FILES:
            # A container that mounts its own /etc/hosts keeps it.
            if f"/etc/{name}" not in taken:
                yield Mount(self.room.folder / "etc" / name, f"/etc/{name}")

    def _security(self, name: str) -> Any:
        own = self.document.get("securityContext") or {}
        return own[name] if own.get(name) is not None else self._pod_security().get(name)

    def _pod_security(self) -> Mapping[str, Any]:
        return dict(self.room.view().document["spec"].get("securityContext") or {})

    def _ids(self) -> tuple[int, int]:
        uid, gid = self._security("runAsUser"), self._security("runAsGroup")
        return (self.image.user if uid is None else int(uid), 0 if gid is None else int(gid))

    def _open_log(self) -> IO[bytes]:
        return self.room.log(self.name).open("ab")


def _user(non_root: object, ids: tuple[int, int]) -> tuple[int, int]:
    if non_root and ids[0] == 0:
        message = "runAsNonRoot is set, but neither runAsUser nor the image names another user than root"
        raise ContainerError("CreateContainerConfigError", message)
    return ids
