"""What the pages say against what the code does."""

import re
import subprocess
from pathlib import Path

import pytest

from webhook.core import names
from webhook.core.model import SidecarSettings
from webhook.core.templates import PLACEHOLDERS
from webhook.demo.images import envoy_binary
from webhook.settings import Settings, environment_name, keys

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
OURS = {value for value in vars(names).values() if isinstance(value, str) and value.startswith(f"{names.DOMAIN}/")}


def test_the_readme_names_every_label_and_annotation():
    """And none that the code does not know."""
    named = set(re.findall(rf"{re.escape(names.DOMAIN)}/[a-z-]+", README))

    assert named == OURS


def test_the_readme_shows_the_defaults():
    """Of what people change most."""
    settings = SidecarSettings()
    resources = settings.resources

    assert settings.image in README
    assert f"{resources.cpu_request}, {resources.cpu_limit} |" in README
    assert f"{resources.memory_request}, {resources.memory_limit} |" in README


def test_every_link_of_the_pages_leads_somewhere():
    """Links between the project's own files."""
    pages = [ROOT / "README.md", *ROOT.glob("docs/**/*.md"), *ROOT.glob("*/README.md")]
    links = {
        (page.relative_to(ROOT), target)
        for page in pages
        for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text())
        if not (page.parent / target).exists()
    }

    assert links == set()


@pytest.mark.parametrize("key", keys())
def test_the_settings_page_has_every_setting_with_its_default(key):
    """Key, name in the environment, and default."""
    default = Settings()
    for part in key.split("."):
        default = getattr(default, part)
    text = ",".join(sorted(map(str, default))) if isinstance(default, tuple | frozenset) else str(default)
    shown = "" if default in (None, (), "", frozenset()) else f"`{text.lower() if isinstance(default, bool) else text}`"

    assert f"| `{key}` | `{environment_name(key)}` | {shown} |" in (ROOT / "docs" / "settings.md").read_text()


@pytest.mark.parametrize("name", PLACEHOLDERS)
def test_the_templates_page_has_every_placeholder(name):
    """In the order of the code."""
    page = (ROOT / "sidecar_templates" / "README.md").read_text()
    row = next(line for line in page.splitlines() if line.startswith(f"| `{name}.yaml` |"))

    assert re.findall(r"`([a-z0-9_]+)`", row.rsplit("|", 2)[1]) == list(PLACEHOLDERS[name])


def test_the_sidecars_image_is_the_envoy_that_the_tests_run():
    """The version of the binary is the version of the pinned image."""
    version = subprocess.run([envoy_binary(), "--version"], capture_output=True, text=True, check=True).stdout
    found = re.search(r"/(\d+\.\d+\.\d+)/", version)

    assert found is not None
    assert SidecarSettings().image.endswith(f"-v{found[1]}")
