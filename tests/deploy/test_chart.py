"""The chart as files: its values, their schema and its templates speak of the same things."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

import pytest

from tests.deploy.objects import CHART, VALUES, Json, read
from webhook import __version__
from webhook.settings import load_settings

[DEFAULTS] = read(CHART / "values.yaml")
SCHEMA = json.loads((CHART / "values.schema.json").read_text())
TEMPLATES = {path.name: path.read_text() for path in (CHART / "templates").iterdir()}


def leaves(value: Json, schema: Json, path: str = "") -> Iterator[str]:
    """Give the path of every value that the schema does not cut up further."""
    inner = resolved(schema).get("properties", {})
    if not inner:
        yield path
    for name in inner:
        yield from leaves(value.get(name, {}), inner[name], f"{path}.{name}".lstrip("."))


def resolved(schema: Json) -> Json:
    """Follow a reference to a definition."""
    return SCHEMA["definitions"][schema["$ref"].rpartition("/")[2]] if "$ref" in schema else schema


def test_the_chart_is_of_this_version() -> None:
    """And so is the image, which its values do not name."""
    [chart] = read(CHART / "Chart.yaml")

    assert (chart["version"], chart["appVersion"]) == (__version__, __version__)
    assert DEFAULTS["image"]["tag"] == ""


def test_every_value_has_a_schema_and_the_schema_knows_no_others() -> None:
    """A misspelt value is refused by `helm install` instead of being passed over."""

    def compare(value: Json, schema: Json, path: str) -> None:
        known = resolved(schema)
        if known.get("properties"):
            assert known["additionalProperties"] is False, path
            assert set(known["properties"]) - {"global"} == set(value), path
            for name, inner in value.items():
                compare(inner, known["properties"][name], f"{path}.{name}")

    compare(DEFAULTS, SCHEMA, "values")


def test_every_value_is_used_and_no_other_one_is() -> None:
    """Each by its whole path, or as a part of what stands in a `with`."""
    text = "\n".join(TEMPLATES.values())
    used = set(re.findall(r"\.Values\.([A-Za-z]+(?:\.[A-Za-z_]+)?)", text))
    known = {".".join(path.split(".")[:2]) for path in leaves(DEFAULTS, SCHEMA) if path != "global"}
    whole = {one for one in used if one not in known}
    parts = {f"{one}.{part}" for one in whole for part in re.findall(r" \.([A-Za-z]+)", text)}

    assert known - used - parts == set()
    assert {one for one in whole if not any(path.startswith(f"{one}.") for path in known)} == {
        "settings.port",
        "settings.health_port",
    }


def test_the_failure_policy_is_nobodys_choice() -> None:
    """The values say why."""
    text = (CHART / "values.yaml").read_text()

    assert "failurePolicy" in text
    assert "failurePolicy: {{" not in "\n".join(TEMPLATES.values())
    assert all("failurepolicy" not in path.lower() for path in leaves(DEFAULTS, SCHEMA))


@pytest.mark.parametrize("name", [name for name in TEMPLATES if name.endswith(".yaml")])
def test_no_template_names_a_namespace(name: str) -> None:
    """It is the release's, in selectors and expressions too."""
    assert "evenkeel-system" not in TEMPLATES[name]


def test_the_tests_render_five_sets_of_values_and_more() -> None:
    """One of them sets nothing, and one gives settings that Evenkeel takes."""
    sets = {path.stem: read(path)[0] for path in VALUES.iterdir()}

    assert len(sets) >= 5
    assert sets["defaults"] == {}
    assert sets["own-secret-and-settings"]["settings"]


def test_the_settings_of_the_values_set_are_settings(tmp_path) -> None:
    """As the chart's ConfigMap would hold them."""
    [values] = read(VALUES / "own-secret-and-settings.yaml")
    file = tmp_path / "settings.yaml"
    file.write_text(json.dumps(values["settings"]))

    settings = load_settings(file, {}, {})

    assert settings.port == values["settings"]["port"]
    assert settings.sidecar.ports.egress == values["settings"]["sidecar"]["ports"]["egress"]
