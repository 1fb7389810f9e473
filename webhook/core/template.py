"""Templates are data: a parsed document whose leaves `$name` are replaced by typed values.

A placeholder is a whole value, never part of a text, so nothing can be injected and no quoting can break.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from webhook.core.annotations import nearest
from webhook.core.errors import TemplateError

_PLACEHOLDER: Final = re.compile(r"\$([a-z][a-z0-9_]*)")


class _Omit:
    """The value of a placeholder whose key is to be left out."""


OMIT: Final = _Omit()


class Template:
    """A document with holes; filling it shares every part that has none.

    Sharing keeps the configuration small: what is the same object is written once, then referred to.
    The filled document must therefore not be changed.
    """

    def __init__(self, file: str, document: Any, placeholders: tuple[str, ...]) -> None:
        """Check that a document has just these placeholders.

        Raises TemplateError with every unknown and every missing one, by file and key.
        """
        self.file = file
        self._document = document
        found = dict(_placeholders(document, ""))
        problems = [
            f"{file}: {where}: unknown placeholder ${name}{nearest(name, placeholders)}"
            for where, name in found.items()
            if name not in placeholders
        ]
        missing = [name for name in placeholders if name not in found.values()]
        problems += [f"{file}: placeholder ${name} is missing; its value would have no effect" for name in missing]
        if problems:
            raise TemplateError(problems)

    def fill(self, **values: Any) -> Any:
        """Give the document with the values in place; OMIT leaves a key out."""
        return _fill(self._document, values)


def _placeholders(node: Any, where: str) -> Iterator[tuple[str, str]]:
    if isinstance(node, dict):
        for key, value in node.items():
            yield from _placeholders(value, f"{where}.{key}" if where else str(key))
    elif isinstance(node, list):
        for index, value in enumerate(node):
            yield from _placeholders(value, f"{where}[{index}]")
    elif isinstance(node, str) and (found := _PLACEHOLDER.fullmatch(node)):
        yield where, found[1]


def _fill(node: Any, values: Mapping[str, Any]) -> Any:
    if isinstance(node, str):
        found = _PLACEHOLDER.fullmatch(node)
        return values[found[1]] if found else node
    if isinstance(node, dict):
        filled = {key: _fill(value, values) for key, value in node.items()}
        same = all(filled[key] is node[key] for key in node)
        return node if same else {key: value for key, value in filled.items() if value is not OMIT}
    if isinstance(node, list):
        items = [_fill(value, values) for value in node]
        same = all(new is old for new, old in zip(items, node, strict=True))
        return node if same else [value for value in items if value is not OMIT]
    return node
