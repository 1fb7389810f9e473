"""Reads sidecar_templates/ once, at the start, and writes documents as text."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import yaml

from webhook.core.annotations import nearest
from webhook.core.errors import TemplateError
from webhook.core.templates import PLACEHOLDERS, Templates, make_templates
from webhook.data import data_folder

_WIDE: Final = 2**31 - 1


class _Dumper(yaml.CSafeDumper):
    """Writes values so that no reader of YAML can take a text for a number: only keys stand without quotes."""

    def represent_mapping(self, tag: str, mapping: Any, flow_style: bool | None = None) -> yaml.MappingNode:
        node = super().represent_mapping(tag, mapping, flow_style)
        for key, _ in node.value:
            # Keys are ours, never a stranger's; the emitter still quotes one that needs it, such as "@type".
            key.style = None
        return node


_Dumper.add_representer(str, lambda dumper, text: dumper.represent_scalar("tag:yaml.org,2002:str", text, style='"'))


def dump(document: Any) -> str:
    """Write a document as YAML that Envoy reads; parts that are one object are written once and referred to.

    Deterministic: the order of keys is kept.
    """
    text: str = yaml.dump(document, Dumper=_Dumper, sort_keys=False, width=_WIDE, allow_unicode=False)
    return text


def load_templates(folder: Path | None) -> Templates:
    """Read the shipped templates; files in `folder` take the place of those with the same name.

    Raises TemplateError with every problem, each with its file and key.
    """
    problems: list[str] = []
    documents: dict[str, Any] = {}
    if folder is not None:
        problems += _unknown_files(folder)
    for name in PLACEHOLDERS:
        own = folder / f"{name}.yaml" if folder else None
        path = own if own and own.is_file() else data_folder("sidecar_templates") / f"{name}.yaml"
        try:
            documents[name] = yaml.load(path.read_text(encoding="utf-8"), Loader=yaml.CSafeLoader)
        except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
            problems.append(f"{path}: {_one_line(error)}")
    if problems:
        raise TemplateError(problems)
    try:
        return make_templates(documents)
    except RecursionError as error:
        raise TemplateError(
            ["sidecar_templates: an anchor stands inside itself, or parts are nested too deeply"]
        ) from error


def _unknown_files(folder: Path) -> Iterator[str]:
    if not folder.is_dir():
        yield f"{folder}: no folder; expected one with some of {', '.join(f'{name}.yaml' for name in PLACEHOLDERS)}"
        return
    for path in sorted(folder.glob("*.y*ml")):
        if path.name not in {f"{name}.yaml" for name in PLACEHOLDERS}:
            yield f"{path}: unknown template{nearest(path.stem, PLACEHOLDERS)}"


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())
