"""Values written as YAML that every reader takes for the same values: YAML 1.1 and 1.2, and Kubernetes."""

from __future__ import annotations

import json
import re
from typing import Any, Final

import yaml

from webhook.manifests import scalars

_WIDE: Final = 2**31 - 1
_MISREAD: Final = re.compile(r"[-+]?(0o[0-7]+|[0-9][0-9_]*(:[0-9_]+)*\.?[0-9_]*([eE][-+]?[0-9]+)?)|=|<<")

_HALF_PAIR: Final = re.compile("[\ud800-\udfff]")


class _Dumper(yaml.CSafeDumper):
    """Writes every value where it stands, without aliases."""

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002
        """Write a value out wherever it stands: Kubernetes knows no sharing."""
        return True


def _represent_text(dumper: yaml.CSafeDumper, text: str) -> yaml.ScalarNode:
    style = "|" if "\n" in text and text.strip("\n") else None
    if style is None and ("\n" in text or _MISREAD.fullmatch(text) or scalars.resolve(text)[0] != scalars.STR):
        style = '"'
    return dumper.represent_scalar(scalars.STR, text, style=style)


_Dumper.add_representer(str, _represent_text)


def dump(value: Any) -> str:
    """Write a mapping or a list as one block-style YAML document without markers."""
    text: str = yaml.dump(value, Dumper=_Dumper, sort_keys=False, width=_WIDE, allow_unicode=True)
    return text


def block(value: Any, column: int, newline: str) -> str:
    """Write a value as lines that all stand at a column, each with its line break."""
    indent = " " * column
    return "".join(f"{indent if line else ''}{line}{newline}" for line in dump(value).removesuffix("\n").split("\n"))


def flow(value: Any, indent: int | str | None = None) -> str:
    """Write a value as JSON, which YAML's flow style contains."""
    text = json.dumps(value, ensure_ascii=False, indent=indent)
    # Half a surrogate pair, which JSON may hold as an escape, cannot be written in any other way.
    return json.dumps(value, indent=indent) if _HALF_PAIR.search(text) else text
