"""The image, as far as it can be tried without Docker: its build steps are run, and what they install is used."""

import re
import shutil
import tempfile
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.packaging import dockerfile

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "Dockerfile").read_text()
STEPS = dockerfile.read_steps(TEXT)


class TestText:
    """What can be read off the file."""

    def test_the_base_is_named_in_full(self) -> None:
        """A short name would be looked up wherever the machine's settings say; `latest` is another one each day."""
        images = re.findall(r"^ARG PYTHON_IMAGE=(\S+)$", TEXT, flags=re.MULTILINE)

        assert [re.fullmatch(r"[a-z.]+\.[a-z]+(/[a-z]+)+:3\.\d+-slim-\w+", image) is not None for image in images] == [
            True
        ]
        assert [step.rest for step in STEPS if step.word == "FROM"] == ["${PYTHON_IMAGE} AS builder", "${PYTHON_IMAGE}"]

    def test_it_runs_as_a_number_that_is_not_root(self) -> None:
        """`runAsNonRoot` can only be checked for a number."""
        assert dockerfile.values(STEPS, "USER", 1) == ["65532:65532"]

    def test_it_serves_by_default(self) -> None:
        """Without arguments the image is the webhook; with some it is any other command."""
        assert dockerfile.values(STEPS, "ENTRYPOINT", 1) == ['["evenkeel"]']
        assert dockerfile.values(STEPS, "CMD", 1) == ['["serve"]']
        assert dockerfile.values(STEPS, "EXPOSE", 1) == ["10250"]

    def test_the_final_stage_takes_only_the_environment(self) -> None:
        """No build tool, no source, no step that runs."""
        assert dockerfile.values(STEPS, "COPY", 1) == ["--from=builder /opt/evenkeel /opt/evenkeel"]
        assert dockerfile.values(STEPS, "RUN", 1) == []

    def test_every_download_is_checked(self) -> None:
        """What comes from outside has a hash in a lock file; the rest comes from no index."""
        installs = [
            step.rest for step in STEPS if step.word == "RUN" and re.search(r"pip .*install|pip wheel", step.rest)
        ]

        assert len(installs) == 4
        for install in installs:
            assert re.search(r"--require-hashes|--no-index|--no-build-isolation", install), install


@pytest.fixture(scope="module")
def installed() -> Iterator[tuple[Path, dockerfile.Builder]]:
    """Build the first stage; give the environment that the final one takes, locked against writing."""
    root = Path(tempfile.mkdtemp(prefix="evenkeel-image-"))
    python, user = dockerfile.worker()
    builder = dockerfile.Builder(root, ROOT, python, user)
    try:
        builder.prepare()
        builder.build([step for step in STEPS if step.stage == 0])
        shutil.rmtree(root / "src")
        shutil.rmtree(root / "build")
        environment = root / "opt" / "evenkeel"
        dockerfile.lock_up(environment)
        yield environment, builder
    finally:
        dockerfile.unlock(root)
        shutil.rmtree(root)


@pytest.mark.packaging
class TestInstalled:
    """What the steps install, used from outside the checkout, with nothing of it writable."""

    def run(self, installed: tuple[Path, dockerfile.Builder], *command: str) -> str:
        """Run an installed program as the image would: a bare environment, no home, at the root."""
        environment, builder = installed
        program, *arguments = command
        names = {"PATH": f"{environment}/bin:/usr/bin:/bin", "PYTHONDONTWRITEBYTECODE": "1", "HOME": "/nonexistent"}
        printed: str = builder.run([f"{environment}/bin/{program}", *arguments], Path("/"), names)
        return printed

    def test_the_command_explains_itself(self, installed: tuple[Path, dockerfile.Builder]) -> None:
        """`evenkeel --help` lists the commands."""
        printed = self.run(installed, "evenkeel", "--help")

        commands = ("serve", "reconcile", "check", "explain", "inject", "eject", "config", "demo")
        assert [word for word in commands if word not in printed] == []

    def test_it_injects_the_examples_it_carries(self, installed: tuple[Path, dockerfile.Builder]) -> None:
        """Templates and examples are in the wheel: a Pod template gets its sidecar far from any checkout."""
        [data] = installed[0].glob("lib/python3*/site-packages/webhook/_data")
        printed = self.run(installed, "evenkeel", "inject", "--all", "-f", str(data / "examples" / "hoge"))

        assert printed.count("name: evenkeel-proxy") == 2

    def test_it_carries_its_data(self, installed: tuple[Path, dockerfile.Builder]) -> None:
        """Every template and example of the checkout is there, and nothing compiled among them."""
        [data] = installed[0].glob("lib/python3*/site-packages/webhook/_data")
        expected = {
            str(path.relative_to(ROOT))
            for folder in ("sidecar_templates", "examples", "deploy/base")
            for path in (ROOT / folder).rglob("*")
            if path.is_file() and "__pycache__" not in path.parts
        }
        actual = {str(path.relative_to(data)) for path in data.rglob("*") if path.is_file()}

        assert {name for name in actual if "__pycache__" not in name} == expected

    def test_its_version_is_the_package_s(self, installed: tuple[Path, dockerfile.Builder]) -> None:
        """The distribution says the version that the code says."""
        script = (
            "import importlib.metadata, webhook; print(importlib.metadata.version('evenkeel'), webhook.__version__)"
        )
        distribution, package = self.run(installed, "python", "-c", script).split()

        assert distribution == package

    def test_it_has_no_tools_for_building(self, installed: tuple[Path, dockerfile.Builder]) -> None:
        """Nothing but the runtime's dependencies is shipped."""
        [packages] = installed[0].glob("lib/python3*/site-packages")
        names = {path.name.partition("-")[0].lower() for path in packages.glob("*.dist-info")}
        lock = (ROOT / "requirements.lock").read_text()
        pinned = {name.replace("-", "_").lower() for name in re.findall(r"^([\w.-]+)==", lock, flags=re.MULTILINE)}

        assert names & {"pip", "setuptools", "hatchling", "wheel"} == set()
        assert names - pinned == {tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["name"]}

    def test_its_bytecode_needs_no_source(self, installed: tuple[Path, dockerfile.Builder]) -> None:
        """Each of our modules was compiled at build time, unchecked, so that nothing is compiled at start."""
        [package] = installed[0].glob("lib/python3*/site-packages/webhook")
        modules = [path for path in package.rglob("*.py") if "_data" not in path.parts]
        unchecked = {
            path.name.split(".")[0]
            for path in package.rglob("*.pyc")
            if int.from_bytes(path.read_bytes()[4:8], "little") == 1
        }

        assert {path.stem for path in modules} - unchecked == set()
