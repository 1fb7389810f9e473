"""A root is planned so that every mount has something to lie on, and nothing is exploded without need."""

from pathlib import Path

import pytest

from webhook.node.errors import ContainerError
from webhook.node.rootfs import Mount, plan


@pytest.fixture
def machine(tmp_path):
    """Give a small machine: /etc, /usr/local/bin, /bin -> usr/bin, /var/run -> /run."""
    root = tmp_path / "machine"
    for folder in ("etc/ssl", "usr/bin", "usr/local/bin", "var", "run", "tmp", "proc"):
        (root / folder).mkdir(parents=True)
    (root / "etc" / "hosts").write_text("hosts")
    (root / "etc" / "resolv.conf").symlink_to("/run/resolv.conf")
    (root / "usr" / "bin" / "sh").write_text("sh")
    (root / "bin").symlink_to("usr/bin")
    (root / "var" / "run").symlink_to("/run")
    return root


def _plan(machine, files=None, mounts=(), **rest):
    return plan(files or {}, mounts, machine=str(machine), **{"read_only": False, **rest})


def _short(steps, machine):
    return [tuple(word.replace(str(machine), "M") for word in step) for step in steps]


def test_a_plain_root_shows_the_machine_and_hides_what_is_private(machine):
    """Each folder whole and read-only; /tmp and /run empty; links as links."""
    assert [
        ("link", "usr/bin", "/bin"),
        ("folder", "/etc"), ("show", "M/etc", "/etc"),
        ("folder", "/lost+found", "755"), ("folder", "/media", "755"), ("folder", "/mnt", "755"),
        ("folder", "/proc", "755"), ("folder", "/run", "755"), ("folder", "/tmp", "1777"),
        ("folder", "/usr"), ("show", "M/usr", "/usr"),
        ("folder", "/var"), ("show", "M/var", "/var"),
        ("freeze", ""), ("thaw", ""), ("proc", "/proc"),
    ] == _short(_plan(machine), machine)  # fmt: skip


def test_an_image_file_explodes_the_folders_above_it_only(machine, tmp_path):
    """Their other entries are shown one by one."""
    steps = _short(_plan(machine, {"/usr/local/bin/envoy": machine / "usr" / "bin" / "sh"}), machine)

    assert ("bind", "M/usr/bin/sh", "/usr/local/bin/envoy") in steps
    assert ("show", "M/usr/bin", "/usr/bin") in steps
    assert ("show", "M/etc", "/etc") in steps
    assert ("folder", "/usr/local/bin", "755") in steps


def test_links_on_the_way_are_followed(machine, tmp_path):
    """/bin/x lies in /usr/bin, /var/run/x in /run."""
    steps = _plan(machine, {"/bin/x": machine / "usr" / "bin" / "sh"}, [Mount(tmp_path, "/var/run/secrets")])

    assert ("bind", str(machine / "usr" / "bin" / "sh"), "/usr/bin/x") in steps
    assert ("bind", str(tmp_path), "/run/secrets") == steps[-1]


def test_a_link_gives_way_to_a_file(machine, tmp_path):
    """/etc/resolv.conf is a link on many machines."""
    (tmp_path / "resolv").write_text("x")
    steps = _plan(machine, mounts=[Mount(tmp_path / "resolv", "/etc/resolv.conf")])

    assert ("file", "/etc/resolv.conf") in steps
    assert ("bind", str(tmp_path / "resolv"), "/etc/resolv.conf") in steps


def test_a_folder_that_is_there_is_mounted_on_as_it_is(machine, tmp_path):
    """Nothing is exploded for it."""
    steps = _plan(machine, mounts=[Mount(tmp_path, "/etc/ssl", read_only=True)])

    assert [("bind", str(tmp_path), "/etc/ssl"), ("freeze", "/etc/ssl")] == steps[-2:]
    assert ("show", str(machine / "etc"), "/etc") in steps


def test_a_mount_within_a_mount_makes_its_own_place(machine, tmp_path):
    """The outer volume gets the folder, as container runtimes do it."""
    (tmp_path / "outer").mkdir()
    (tmp_path / "inner").mkdir()
    steps = _plan(machine, mounts=[Mount(tmp_path / "inner", "/a/b"), Mount(tmp_path / "outer", "/a")])

    assert [
        ("bind", str(tmp_path / "outer"), "/a"),
        ("ensure", "/a/b"),
        ("bind", str(tmp_path / "inner"), "/a/b"),
    ] == steps[-3:]


def test_a_read_only_root_stays_frozen(machine):
    """The working directory is made before."""
    steps = _plan(machine, read_only=True, working_dir="/made/here")

    assert "thaw" not in {step[0] for step in steps}
    assert steps.index(("folder", "/made/here", "755")) < steps.index(("freeze", ""))


@pytest.mark.parametrize("path", ["/etc/hosts/x", "/usr/bin", "/"])
def test_a_place_that_cannot_be_is_refused(machine, tmp_path, path):
    """A file on a folder, a folder in a file, the root itself."""
    (tmp_path / "file").write_text("x")
    with pytest.raises(ContainerError):
        _plan(machine, mounts=[Mount(Path(tmp_path / "file"), path)])


def test_a_loop_of_links_is_refused(machine, tmp_path):
    """Instead of being followed for ever."""
    (machine / "loop").symlink_to("loop")
    with pytest.raises(ContainerError, match="too many"):
        _plan(machine, mounts=[Mount(tmp_path, "/loop/x")])
