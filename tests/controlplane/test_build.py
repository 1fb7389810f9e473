"""Programs of the control plane are built once, found again, and their absence is explained."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

import pytest

from tests.controlplane import build
from tests.controlplane.build import BuildFailed, Family, GoAbsent, programs

KUBERNETES = build.FAMILIES["kubernetes"]
GO = """#!/bin/sh
case "$1" in
version) echo "go version go1.99 test" ;;
build)
  echo built >> "$COUNT"
  test -z "$BREAK" || { echo "undefined: Everything"; exit 1; }
  while [ "$1" != -o ]; do shift; done
  echo "$CGO_ENABLED" > "$2"; chmod +x "$2" ;;
esac
"""


@pytest.fixture
def builds(tmp_path, monkeypatch) -> Path:
    """Have a compiler that does nothing, an empty cache, and a file with a line for each build."""
    go = tmp_path / "bin" / "go"
    go.parent.mkdir()
    go.write_text(GO)
    go.chmod(0o755)
    count = tmp_path / "count"
    count.touch()
    monkeypatch.setenv("PATH", f"{go.parent}:/usr/bin:/bin")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("COUNT", str(count))
    monkeypatch.setenv("BREAK", "")
    monkeypatch.delenv(build.ASSETS, raising=False)
    return count


def _lines(file):
    return len(file.read_text().splitlines())


def test_programs_are_built_once_without_a_c_compiler(builds):
    """The second time they come from the cache."""
    first = programs("etcd", "kubernetes")
    again = programs("kubernetes", "etcd")

    assert first["kube-apiserver"].read_text() == "0\n"
    assert dict(first.paths) == dict(again.paths)
    assert _lines(builds) == 3


def test_two_runs_at_once_build_once(builds):
    """The later one waits for the earlier."""
    found = []
    runs = [threading.Thread(target=lambda: found.append(programs("kubernetes"))) for _ in range(2)]
    for run in runs:
        run.start()
    for run in runs:
        run.join()

    assert found[0] == found[1]
    assert _lines(builds) == 2


def test_a_changed_module_is_built_anew(builds, tmp_path, monkeypatch):
    """And the program of the old one stays for those who still use it."""
    module = tmp_path / "one"
    module.mkdir()
    (module / "go.mod").write_text("module one\n")
    monkeypatch.setattr(build, "HERE", tmp_path)
    monkeypatch.setitem(build.FAMILIES, "one", Family("one", {"one": "."}, 1))
    before = programs("one")["one"]

    (module / "main.go").write_text("package main\n")

    after = programs("one")["one"]
    assert before != after
    assert before.exists()
    assert _lines(builds) == 2


def test_a_failed_build_tells_what_the_compiler_said_and_leaves_nothing(builds, monkeypatch, tmp_path):
    """So that the next run tries again."""
    monkeypatch.setenv("BREAK", "yes")
    with pytest.raises(BuildFailed, match=r"etcd cannot be built:\nundefined: Everything"):
        programs("etcd")

    assert [path.name for path in (tmp_path / "cache").rglob("*") if path.is_file()] == ["lock"]
    monkeypatch.setenv("BREAK", "")
    assert programs("etcd")["etcd"].exists()


def test_given_programs_are_taken_as_they_are(builds, tmp_path, monkeypatch):
    """Those of Kubernetes, that is; nothing is built."""
    assets = tmp_path / "assets"
    assets.mkdir()
    monkeypatch.setenv(build.ASSETS, str(assets))
    for name in ("etcd", "kube-apiserver"):
        (assets / name).touch(mode=0o755)

    assert programs("etcd")["etcd"] == assets / "etcd"
    with pytest.raises(BuildFailed, match="has no kube-controller-manager: put it there"):
        programs("etcd", "kubernetes")
    assert programs("helm")["helm"].parent != assets
    assert _lines(builds) == 1


def test_where_go_is_absent_it_says_what_would_do(tmp_path, monkeypatch):
    """Either Go, or programs that are there already."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.delenv(build.ASSETS, raising=False)
    monkeypatch.setattr(build, "_GO_HOME", tmp_path / "go")

    with pytest.raises(GoAbsent, match=r"install Go .* or let KUBEBUILDER_ASSETS name a folder"):
        programs("etcd")
    with pytest.raises(SystemExit) as left:
        build.main(["etcd"])
    assert left.value.code == 3


def test_the_program_prints_where_everything_is(builds):
    """On standard output; progress goes to standard error."""
    answer = subprocess.run([sys.executable, build.__file__, "etcd"], capture_output=True, text=True, check=True)

    name, path = answer.stdout.split()
    assert name == "etcd"
    assert Path(path).exists()
    assert "building etcd (once;" in answer.stderr


def test_a_family_that_does_not_exist_is_refused():
    """With the names of those that do."""
    with pytest.raises(SystemExit, match="no family kubernets; there are etcd, kubernetes, helm, certmanager"):
        build.main(["kubernets"])


def test_a_program_that_was_not_asked_for_is_named():
    """Instead of a bare key."""
    with pytest.raises(KeyError, match="helm is of a family that was not asked for; there are etcd"):
        build.Programs({"etcd": Path("etcd")})["helm"]


def test_the_version_is_stamped_from_the_go_module():
    """One place says which it is."""
    version = build.required(KUBERNETES.folder, "k8s.io/kubernetes")

    assert f"-X k8s.io/component-base/version.gitVersion={version} " in KUBERNETES.link_flags()
    with pytest.raises(BuildFailed, match=r"requires no example\.org/absent"):
        build.required(KUBERNETES.folder, "example.org/absent")


@pytest.mark.parametrize("family", build.FAMILIES.values(), ids=list(build.FAMILIES))
def test_every_family_is_pinned_by_checksums(family):
    """And nothing of it is copied in."""
    assert {path.name for path in family.folder.iterdir()} <= {"go.mod", "go.sum", "main.go"}
    assert (family.folder / "go.sum").stat().st_size > 0


def test_the_staging_modules_are_of_the_same_release_as_kubernetes():
    """V1.36.3 goes with v0.36.3."""
    version = build.required(KUBERNETES.folder, "k8s.io/kubernetes").replace("v1.", "v0.")
    text = (KUBERNETES.folder / "go.mod").read_text()
    replaced = [line.split() for line in text.splitlines() if "=>" in line]

    assert {line[-1] for line in replaced} == {version}
    assert len(replaced) > 25
