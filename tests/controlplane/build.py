"""The programs of a real control plane, built from their published Go modules, once.

`python tests/controlplane/build.py [kubernetes|etcd|helm|certmanager|kustomize|prometheus ...]` exits with 0 when they
are there, 1 when they cannot be built, 3 where Go is absent.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NoReturn

HERE: Final = Path(__file__).parent
ASSETS: Final = "KUBEBUILDER_ASSETS"
_GO_HOME: Final = Path("/usr/local/go/bin/go")
"""Where the Go project's own archives go, on the PATH or not."""
_FLAGS: Final = ("-mod=readonly", "-trimpath")
_ABSENT: Final = 3
_TELL_EVERY: Final = 30.0
_LAST_WORDS: Final = 30


class BuildFailed(Exception):
    """A program cannot be had; the text says which and why."""


class GoAbsent(BuildFailed):
    """There is nothing to build with; the text says what would do."""


@dataclass(frozen=True, slots=True)
class Family:
    """The programs of one Go module under this folder."""

    name: str
    packages: Mapping[str, str]
    """By the program's name, what is built."""
    minutes: int
    """How long a first build may take on two cores."""
    module: str = ""
    """Its version, as required in go.mod, is written into these variables."""
    stamps: Sequence[str] = ()
    tags: str = ""
    """What is left out of it, or let in."""
    from_assets: bool = False

    @property
    def folder(self) -> Path:
        """Give the Go module."""
        return HERE / self.name

    def flags(self) -> tuple[str, ...]:
        """Give the compiler's flags."""
        return (*_FLAGS, "-tags", self.tags) if self.tags else _FLAGS

    def link_flags(self) -> str:
        """Give the linker's flags: no symbols, and the version."""
        if not self.module:
            return "-s -w"
        version = required(self.folder, self.module)
        major, minor, *_ = version.removeprefix("v").split(".")
        values = {"version": version, "major": major, "minor": minor}
        return " ".join(["-s -w", *(f"-X {stamp.format_map(values)}" for stamp in self.stamps)])


_KUBERNETES: Final = tuple(
    f"{package}.{variable}"
    for package in ("k8s.io/component-base/version", "k8s.io/client-go/pkg/version")
    for variable in ("gitVersion={version}", "gitMajor={major}", "gitMinor={minor}", "gitTreeState=clean")
)
FAMILIES: Final = {
    family.name: family
    for family in (
        Family("etcd", {"etcd": "go.etcd.io/etcd/server/v3"}, 2, from_assets=True),
        Family(
            "kubernetes",
            {name: f"k8s.io/kubernetes/cmd/{name}" for name in ("kube-apiserver", "kube-controller-manager")},
            minutes=8,
            module="k8s.io/kubernetes",
            stamps=_KUBERNETES,
            from_assets=True,
        ),
        Family(
            "helm",
            {"helm": "helm.sh/helm/v4/cmd/helm"},
            minutes=5,
            module="helm.sh/helm/v4",
            stamps=("helm.sh/helm/v4/internal/version.version={version}",),
        ),
        Family(
            "certmanager",
            {"cert-manager": "."},
            minutes=8,
            module="github.com/cert-manager/cert-manager",
            stamps=("github.com/cert-manager/cert-manager/pkg/util.AppVersion={version}",),
        ),
        Family(
            "kustomize",
            {"kustomize": "sigs.k8s.io/kustomize/kustomize/v5"},
            minutes=1,
            module="sigs.k8s.io/kustomize/kustomize/v5",
            stamps=("sigs.k8s.io/kustomize/api/provenance.version={version}",),
        ),
        Family(
            "prometheus",
            {"prometheus": "github.com/prometheus/prometheus/cmd/prometheus"},
            minutes=4,
            # It need not find its targets at every provider's.
            tags="remove_all_sd,enable_kubernetes_sd",
        ),
        # Nothing of it is built: its CustomResourceDefinitions are read.
        Family("prometheusoperator", {}, minutes=0, module="github.com/prometheus-operator/prometheus-operator"),
    )
}


@dataclass(frozen=True, slots=True)
class Programs:
    """Where the programs are, by name."""

    paths: Mapping[str, Path]

    def __getitem__(self, name: str) -> Path:
        """Give one; KeyError says which were asked for."""
        if name not in self.paths:
            raise KeyError(f"{name} is of a family that was not asked for; there are {', '.join(sorted(self.paths))}")
        return self.paths[name]


def programs(*families: str) -> Programs:
    """Find the programs of these families, or build them; BuildFailed or GoAbsent say why they cannot be had."""
    found: dict[str, Path] = {}
    for family in (FAMILIES[name] for name in families):
        assets = os.environ.get(ASSETS) if family.from_assets else None
        found |= _given(family, Path(assets)) if assets else cached(family)
    return Programs(found)


def find_go() -> str:
    """Give the Go program; GoAbsent says what would do."""
    go = shutil.which("go") or (str(_GO_HOME) if _GO_HOME.exists() else None)
    if go is None:
        raise GoAbsent(
            f"Go is absent (neither on the PATH nor at {_GO_HOME}): install Go 1.26 or newer, or let {ASSETS} name "
            "a folder with etcd, kube-apiserver and kube-controller-manager of Kubernetes 1.34 or newer"
        )
    return go


def module_folder(family: str) -> Path:
    """Give the folder of the Go module cache with the sources of a family's main module, downloaded if need be."""
    one = FAMILIES[family]
    command = [find_go(), "mod", "download", "-json", one.module]
    answer = subprocess.run(command, cwd=one.folder, env=_environment(), capture_output=True, text=True, check=False)
    if answer.returncode:
        raise BuildFailed(f"the sources of {one.module} cannot be had: {answer.stdout}{answer.stderr}")
    return Path(json.loads(answer.stdout)["Dir"])


def required(folder: Path, module: str) -> str:
    """Give the version of a module that the go.mod of a folder requires."""
    found = re.search(rf"^(?:require)?\s*{re.escape(module)} (v\S+)", (folder / "go.mod").read_text(), re.MULTILINE)
    if found is None:
        raise BuildFailed(f"{folder / 'go.mod'} requires no {module}")
    return found[1]


def _given(family: Family, assets: Path) -> dict[str, Path]:
    missing = [name for name in family.packages if not os.access(assets / name, os.X_OK)]
    if missing:
        raise BuildFailed(
            f"{ASSETS}={assets} has no {' and no '.join(missing)}: put it there, or unset {ASSETS} to have it built"
        )
    return {name: assets / name for name in family.packages}


def cached(family: Family) -> dict[str, Path]:
    """Find a family's programs outside the repository, or build them there; BuildFailed or GoAbsent say why not."""
    root = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "evenkeel" / "controlplane"
    go = find_go()
    folder = root / _digest(family, go)
    paths = {name: folder / name for name in family.packages}
    if all(path.exists() for path in paths.values()):
        return paths
    folder.mkdir(parents=True, exist_ok=True)
    # One lock for all families: two Go builds at a time only take each other's cores.
    with locked(root / "lock"):
        for name, path in paths.items():
            if not path.exists():
                _build(family, name, path, go)
    return paths


def _digest(family: Family, go: str) -> str:
    version = subprocess.run([go, "version"], capture_output=True, text=True, check=True, env=_environment()).stdout
    made_of = (version, family.flags(), family.link_flags(), sorted(family.packages.items()))
    digest = hashlib.sha256(repr(made_of).encode())
    for path in sorted(family.folder.iterdir()):
        if path.name in {"go.mod", "go.sum"} or path.suffix == ".go":
            digest.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    return f"{family.name}-{digest.hexdigest()[:20]}"


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Keep others from what is done meanwhile; waits until they are done."""
    with path.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            _tell("another run is building the control plane; waiting for it")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _build(family: Family, name: str, path: Path, go: str) -> None:
    _tell(f"building {name} (once; the first of its kind may take {family.minutes} minutes on two cores) ...")
    # In the same folder, so that the last step is a rename: nobody ever sees half a program.
    unfinished = path.with_name(f".{name}.{os.getpid()}")
    flags = [*family.flags(), "-ldflags", family.link_flags()]
    command = [go, "build", *flags, "-o", str(unfinished), family.packages[name]]
    try:
        seconds = _run(command, family.folder, name)
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)
    _tell(f"built {name} in {seconds:.0f} s, {path.stat().st_size / 2**20:.0f} MiB: {path}")


def _run(command: Sequence[str], folder: Path, name: str) -> float:
    began = time.monotonic()
    child = subprocess.Popen(
        command,
        cwd=folder,
        env=_environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    while True:
        try:
            output, _ = child.communicate(timeout=_TELL_EVERY)
        except subprocess.TimeoutExpired:
            _tell(f"  {name}: {time.monotonic() - began:.0f} s so far")
            continue
        except BaseException:
            child.terminate()
            child.wait()
            raise
        break
    if child.returncode:
        raise BuildFailed(f"{name} cannot be built:\n" + "\n".join(output.splitlines()[-_LAST_WORDS:]))
    return time.monotonic() - began


def _environment() -> dict[str, str]:
    # No C compiler and no workspace of the machine's owner has a say in what comes out.
    return {**os.environ, "CGO_ENABLED": "0", "GOWORK": "off"}


def _tell(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def main(arguments: Sequence[str]) -> NoReturn:
    """Build what is named, or what a control plane needs."""
    unknown = [name for name in arguments if name not in FAMILIES]
    if unknown:
        sys.exit(f"no family {', '.join(unknown)}; there are {', '.join(FAMILIES)}")
    try:
        found = programs(*(arguments or ("etcd", "kubernetes")))
    except GoAbsent as error:
        _tell(str(error))
        sys.exit(_ABSENT)
    except BuildFailed as error:
        sys.exit(str(error))
    for name, path in found.paths.items():
        print(f"{name} {path}")
    sys.exit(0)


if __name__ == "__main__":
    main(sys.argv[1:])
