"""What must not stand in any tracked file."""

import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

# Joined here, so that this file does not name them either.
REGISTRY_HOSTS = tuple(
    (first + rest).encode()
    for first, rest in [
        ("py", "pi.org"),
        ("python", "hosted.org"),
        ("npm", "js.org"),
        ("npm", "js.com"),
        ("crates", ".io"),
        ("proxy.go", "lang.org"),
        ("deb.deb", "ian.org"),
    ]
)


def tracked_files() -> list[Path]:
    """List the files that git knows."""
    if shutil.which("git") is None or not (ROOT / ".git").exists():
        pytest.skip("this is no git checkout")
    listing = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True, text=True)
    paths = [ROOT / name for name in listing.stdout.split("\0") if name]
    return [path for path in paths if path.is_file()]


def files_with(*needles: bytes) -> list[str]:
    """List the tracked files that have one of these in them."""
    return [
        str(path.relative_to(ROOT))
        for path in tracked_files()
        if any(needle in path.read_bytes() for needle in needles)
    ]


def test_no_file_names_a_package_registry() -> None:
    """Where packages come from is a matter of the machine that installs them."""
    assert files_with(*REGISTRY_HOSTS) == []


def test_no_file_names_this_checkout() -> None:
    """A path of the machine at hand works nowhere else."""
    assert files_with(f"{ROOT}/".encode()) == []
