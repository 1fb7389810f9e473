"""`python -m webhook.node.sandbox -- COMMAND ARG...`: one unprivileged user namespace that a node can live in.

Inside, the caller is root over network, mounts, processes and host name of their own, and over nothing outside.
The command's exit code is ours. Exit code 2 and one sentence say that the machine forbids it.
When this process or its parent dies, by whatever signal, everything inside dies.
"""

import os
import re
import select
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from types import FrameType
from typing import Final, NoReturn

from webhook.node import interface, linux

_MARK: Final = "SANDBOX_NETWORK"
_FORWARDED: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)
_OLDEST: Final = (5, 12)
"""The first Linux that can make a tree of mounts read-only at once."""
_IMPOSSIBLE: Final = 2
_NOT_FOUND: Final = 127
_NAMESPACES: Final = (
    linux.CLONE_NEWUSER
    | linux.CLONE_NEWNS
    | linux.CLONE_NEWNET
    | linux.CLONE_NEWPID
    | linux.CLONE_NEWUTS
    | linux.CLONE_NEWIPC
)
# What a machine's owner can switch, the value that forbids, and what to do about it.
_SWITCHES: Final = (
    ("kernel/unprivileged_userns_clone", "0", "sysctl kernel.unprivileged_userns_clone=1"),
    ("kernel/apparmor_restrict_unprivileged_userns", "1", "sysctl kernel.apparmor_restrict_unprivileged_userns=0"),
    ("user/max_user_namespaces", "0", "sysctl user.max_user_namespaces=10000"),
)


def inside() -> bool:
    """Say whether this process lives in a sandbox's own network namespace (and not in a Pod's)."""
    return os.environ.get(_MARK) == str(Path("/proc/self/ns/net").readlink())


def why_impossible() -> str | None:
    """Try a sandbox for an instant; a sentence with what the machine forbids and what to allow, or None."""
    if not sys.platform.startswith("linux"):
        return f"Pods need Linux namespaces; this is {sys.platform}."
    root = str(Path(__file__).parents[2])
    start = f"import sys; sys.path.insert(0, {root!r}); from webhook.node.sandbox import main; main(['--', 'true'])"
    trial = subprocess.run([sys.executable, "-I", "-S", "-c", start], capture_output=True, text=True, check=False)
    return None if trial.returncode == 0 else trial.stderr.strip().splitlines()[-1]


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command after `--` in a new sandbox and exit with its code."""
    command = list(sys.argv[1:] if arguments is None else arguments)
    if command[:1] == ["--"]:
        command = command[1:]
    if not command:
        _leave("usage: python -m webhook.node.sandbox -- COMMAND [ARGUMENT ...]")
    _make_namespaces()
    alive, ours = os.pipe()
    parent = _parent()
    child = os.fork()
    if child == 0:
        os.close(ours)
        _be_init(command, alive)
    os.close(alive)
    sys.exit(_watch(child, parent))


def _make_namespaces() -> None:
    if _kernel() < _OLDEST:
        _leave(f"Pods need Linux {_OLDEST[0]}.{_OLDEST[1]} or later; this is {os.uname().release}")
    uid, gid = os.geteuid(), os.getegid()
    try:
        linux.unshare(_NAMESPACES)
        linux.map_user(inside_uid=0, inside_gid=0, outside_uid=uid, outside_gid=gid)
        linux.make_private("/")
    except OSError as error:
        _leave(_explain(error))


def _kernel() -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"[0-9]+", os.uname().release)[:2])


def _explain(error: OSError) -> str:
    for name, forbidding, remedy in _SWITCHES:
        path = Path("/proc/sys") / name
        if path.exists() and path.read_text().strip() == forbidding:
            return f"This machine forbids unprivileged user namespaces ({error}); allow them with: {remedy}"
    return (
        f"This machine forbids unprivileged user namespaces ({error}); in a container they need a seccomp and "
        "AppArmor profile that allows unshare and mount, such as --security-opt seccomp=unconfined "
        "--security-opt apparmor=unconfined"
    )


def _parent() -> int | None:
    # Watched by a descriptor, not by PR_SET_PDEATHSIG: that would fire when a mere thread of the parent ends.
    try:
        return os.pidfd_open(os.getppid())
    except OSError:
        return None


def _watch(child: int, parent: int | None) -> int:
    _forward(lambda: child)
    ended = os.pidfd_open(child)
    readable, _, _ = select.select([ended] if parent is None else [ended, parent], [], [])
    if ended not in readable:
        os.kill(child, signal.SIGKILL)
    return _code(os.waitpid(child, 0)[1])


def _be_init(command: Sequence[str], alive: int) -> NoReturn:
    linux.die_with_parent(signal.SIGKILL)
    # The parent may have died before the line above: then the other end of the pipe is closed.
    if select.select([alive], [], [], 0)[0]:
        os._exit(1)
    # A session of its own, so that a terminal's Ctrl-C comes once, by the parent, and not twice.
    os.setsid()
    try:
        linux.mount_proc("/proc")
        interface.raise_loopback()
    except OSError as error:
        _leave(_explain_proc(error))
    # Not before /proc is this namespace's own, else the mark would name somebody else's network.
    os.environ[_MARK] = str(Path("/proc/self/ns/net").readlink())
    main_process = os.fork()
    if main_process == 0:
        _become(command)
    _forward(lambda: main_process)
    os._exit(_reap_until(main_process))


def _explain_proc(error: OSError) -> str:
    return (
        f"This machine forbids a /proc of one's own ({error}); in a container start it with "
        "--security-opt systempaths=unconfined"
    )


def _become(command: Sequence[str]) -> NoReturn:
    for number in (signal.SIGPIPE, signal.SIGXFSZ):
        signal.signal(number, signal.SIG_DFL)
    try:
        os.execvp(command[0], list(command))  # noqa: S606  # a command is what we are given
    except OSError as error:
        sys.stderr.write(f"{command[0]}: {error.strerror}\n")
    os._exit(_NOT_FOUND)


def _forward(target: Callable[[], int]) -> None:
    def forward(number: int, _frame: FrameType | None) -> None:
        try:
            os.kill(target(), number)
        except ProcessLookupError:
            return

    for number in _FORWARDED:
        signal.signal(number, forward)


def _reap_until(main_process: int) -> int:
    # Process 1 of the namespace inherits every orphan; when it exits the kernel kills the rest.
    while True:
        pid, status = os.waitpid(-1, 0)
        if pid == main_process:
            return _code(status)


def _code(status: int) -> int:
    code = os.waitstatus_to_exitcode(status)
    return code if code >= 0 else 128 - code


def _leave(sentence: str) -> NoReturn:
    sys.stderr.write(sentence + "\n")
    sys.stderr.flush()
    os._exit(_IMPOSSIBLE)


if __name__ == "__main__":
    main()
