"""Golden files: what must come of a case, written down in its folder as `expected.*.yaml`.

`pytest --update-golden` writes them anew and fails, so that somebody reads the difference.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

_LONG = 1000


class _Loader(yaml.CSafeLoader):
    """Reads YAML with two tags, so that a case with much of something stays readable."""


class _Dumper(yaml.CSafeDumper):
    """Writes what people read: no anchors, long texts as they are."""

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002 the base class calls it so
        return True


def _repeated(loader: yaml.Loader, node: yaml.MappingNode) -> str:
    fields = loader.construct_mapping(node)
    return str(fields["text"]) * int(fields["times"])


def _numbered(loader: yaml.Loader, node: yaml.MappingNode) -> list[Any]:
    fields = loader.construct_mapping(node, deep=True)
    return [_put(fields["of"], str(number)) for number in range(1, int(fields["times"]) + 1)]


def _put(node: Any, number: str) -> Any:
    if isinstance(node, dict):
        return {key: _put(value, number) for key, value in node.items()}
    if isinstance(node, list):
        return [_put(value, number) for value in node]
    return node.replace("<n>", number) if isinstance(node, str) else node


_Loader.add_constructor("!repeated", _repeated)
_Loader.add_constructor("!numbered", _numbered)


def read(path: Path) -> Any:
    """Read the first document of a file."""
    return yaml.load(path.read_text(encoding="utf-8"), Loader=_Loader)  # noqa: S506 a safe loader's child


def read_all(path: Path) -> list[Any]:
    """Read every document of a file; one that is a list counts as its items."""
    found = yaml.load_all(path.read_text(encoding="utf-8"), Loader=_Loader)
    return [each for one in found for each in (one if isinstance(one, list) else [one])]


def shortened(node: Any) -> Any:
    """Give a document with its very long texts cut, for people to read."""
    if isinstance(node, dict):
        return {key: shortened(value) for key, value in node.items()}
    if isinstance(node, list):
        return [shortened(value) for value in node]
    return f"{node[:40]}... {len(node)} in all" if isinstance(node, str) and len(node) > _LONG else node


def check(folder: Path, actual: Mapping[str, Any], *, update: bool) -> None:
    """Compare what came out (`{"pod": document, ...}`) with the files `expected.<name>.yaml` of a folder.

    A file that nothing came out for is an orphan, and fails. With `update`, writes all and fails.
    """
    if update:
        _write(folder, actual)
        pytest.fail(f"{folder.name}: written anew; read the difference, then run without --update-golden")

    expected = {path.name: read(path) for path in sorted(folder.glob("expected.*"))}

    assert expected == {_file(name): value for name, value in actual.items()}


def _write(folder: Path, actual: Mapping[str, Any]) -> None:
    for path in folder.glob("expected.*"):
        path.unlink()
    for name, value in actual.items():
        text = yaml.dump(value, Dumper=_Dumper, sort_keys=True, width=120, allow_unicode=True)
        (folder / _file(name)).write_text(text, encoding="utf-8")


def _file(name: str) -> str:
    return f"expected.{name}.yaml"
