"""The set of templates, read from files: what does not fit is refused at the start, with file and key."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from webhook.core.errors import TemplateError
from webhook.core.templates import PLACEHOLDERS, make_templates
from webhook.data import data_folder
from webhook.templates import dump, load_templates


def shipped(name: str) -> Any:
    """Give a shipped template as a document."""
    return yaml.safe_load((data_folder("sidecar_templates") / f"{name}.yaml").read_text())


def problems(folder: Path, **documents: Any) -> list[str]:
    """Give what is said against templates of an operator."""
    for name, document in documents.items():
        (folder / f"{name}.yaml").write_text(document if isinstance(document, str) else yaml.safe_dump(document))
    with pytest.raises(TemplateError) as refused:
        load_templates(folder)
    return [problem.replace(f"{folder}/", "") for problem in refused.value.problems]


def test_the_shipped_templates_fit() -> None:
    """All of them, and no file lies there that nothing reads."""
    files = {path.name for path in data_folder("sidecar_templates").glob("*.y*ml")}

    assert load_templates(None).retries.file == "retries.yaml"
    assert files == {f"{name}.yaml" for name in PLACEHOLDERS}


def test_a_file_of_the_operator_takes_the_place_of_the_shipped_one(tmp_path: Path) -> None:
    """The others stay."""
    (tmp_path / "access_log.yaml").write_text("[]\n")

    templates = load_templates(tmp_path)

    assert templates.access_log.fill() == []
    assert templates.retries.fill() == load_templates(None).retries.fill()


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"name": "envoy"}, ["placeholder $name is missing", "name: found 'envoy', expected $name"]),
        ({"restartPolicy": "Never"}, ["restartPolicy: found 'Never', expected Always"]),
        ({"resources": {}}, ["placeholder $resources is missing", "resources: found {}, expected $resources"]),
        (
            {"volumeMounts": None},
            ["placeholder $volume is missing", "placeholder $config_folder is missing", "volumeMounts"],
        ),
        ({"workingDir": "$imge"}, ["workingDir: unknown placeholder $imge; did you mean image?"]),
    ],
    ids=lambda value: str(value)[:40],
)
def test_a_sidecar_that_cannot_work_is_refused(tmp_path: Path, change: dict[str, Any], expected: list[str]) -> None:
    """A native sidecar with our name, image, resources and volume, or none."""
    actual = problems(tmp_path, sidecar={**shipped("sidecar"), **change})

    assert len(actual) == len(expected)
    assert [
        part for part, problem in zip(expected, actual, strict=True) if f"sidecar.yaml: {part}" not in problem
    ] == []


@pytest.mark.parametrize(
    ("documents", "expected"),
    [
        ({"access_log": {}}, "access_log.yaml: found dict, expected a list"),
        ({"access_log": ""}, "access_log.yaml: found nothing, expected a list"),
        ({"retries": {"default": {}, "safe": {}}}, "retries.yaml: idempotent is missing"),
        (
            {"retries": {"default": {}, "safe": {}, "idempotent": {}, "saef": {}}},
            "retries.yaml: saef: unknown; did you mean safe?",
        ),
        ({"clusters": {}}, "clusters.yaml: unknown template; did you mean cluster?"),
        ({"egress": "a: [\n"}, "egress.yaml: while parsing"),
        ({"egress": "a: \x07"}, "egress.yaml: "),
    ],
    ids=lambda value: str(value)[:40],
)
def test_a_template_that_does_not_fit_is_refused(tmp_path: Path, documents: dict[str, Any], expected: str) -> None:
    """By file and key, in one line."""
    [actual] = problems(tmp_path, **documents)

    assert actual.startswith(expected)
    assert "\n" not in actual


def test_a_folder_that_is_not_there_is_refused(tmp_path: Path) -> None:
    """A misspelt path is no wish for the shipped templates."""
    with pytest.raises(TemplateError, match="no folder"):
        load_templates(tmp_path / "nowhere")


def test_every_problem_of_every_file_is_told() -> None:
    """Not only the first."""
    with pytest.raises(TemplateError) as refused:
        make_templates({})

    assert {problem.partition(".yaml")[0] for problem in refused.value.problems} == set(PLACEHOLDERS)


@pytest.mark.parametrize(
    "text", ["1e3", "null", "on", "0x1f", "0o17", "1_000", "~", "=", "<<", "2001-01-01", "a: b", "*x"]
)
def test_no_reader_of_yaml_can_take_a_text_for_something_else(text: str) -> None:
    """Envoy's reader resolves plain scalars its own way: every value stands in quotes."""
    assert f'"{text}"' in dump({"name": text})
    assert yaml.safe_load(dump({"name": text})) == {"name": text}


def test_a_template_that_contains_itself_is_refused(tmp_path: Path) -> None:
    """YAML can say so; it is told like every other fault, at the start."""
    (tmp_path / "cluster.yaml").write_text("a: &itself\n  b: *itself\n")

    with pytest.raises(TemplateError, match="an anchor stands inside itself"):
        load_templates(tmp_path)
