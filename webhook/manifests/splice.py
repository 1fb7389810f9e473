"""Additions put into the text a person wrote, so that comments, quotes, order and indentation stay.

What is written is decided by comparing the old value with the new one along the text's nodes. Nothing here is
trusted: the caller parses the result and compares it with what was wanted.
"""

from __future__ import annotations

import re
from typing import Any, Final

import yaml

from webhook.manifests.emit import block, dump, flow
from webhook.manifests.layout import Exotic, Layout, is_alias_of, is_flow, key_of
from webhook.manifests.parse import compose

_SPACE: Final = re.compile(r"\s*")


def splice(text: str, old: Any, new: Any) -> str:
    """Change a document's text so that its value becomes `new`.

    `old` is the text's value. Raises Exotic where the text is laid out in a way that this cannot edit, and
    NotParsed where it is no YAML (JSON with surrogate pairs is none).
    """
    node = compose(text)
    if node is None:
        raise Exotic
    splicer = _Splicer(text)
    splicer.change(node, old, new, key=None)
    return splicer.result()


class _Splicer:
    """Collects edits of one text."""

    def __init__(self, text: str) -> None:
        self._layout = Layout(text)
        self._text = text
        self._edits: list[tuple[int, int, str]] = []

    def result(self) -> str:
        """Give the text with all edits; raises Exotic where two of them overlap."""
        parts, position = [], 0
        for start, end, replacement in sorted(self._edits, key=lambda edit: edit[:2]):
            if start < position:
                raise Exotic
            parts += [self._text[position:start], replacement]
            position = end
        return "".join([*parts, self._text[position:]])

    def change(self, node: yaml.Node, old: Any, new: Any, key: yaml.Node | None, *, in_flow: bool = False) -> None:
        """Edit the text of a node, the value of `key` if it has one; `in_flow` if it stands inside `{}` or `[]`."""
        if old == new:
            return
        if key is not None and is_alias_of(node, key):
            raise Exotic
        if isinstance(old, dict) and isinstance(new, dict) and old:
            self._mapping(node, old, new, key, in_flow or is_flow(node))
        elif isinstance(old, list) and isinstance(new, list) and old:
            self._sequence(node, old, new, key, in_flow or is_flow(node))
        elif in_flow or key is None:
            where = None if key is None else self._layout.own_indentation(key.start_mark.index)
            self._edit(node.start_mark.index, node.end_mark.index, self._flow(new, where))
        else:
            self._replace(node, new, key)

    def _mapping(
        self, node: yaml.Node, old: dict[str, Any], new: dict[str, Any], key: yaml.Node | None, in_flow: bool
    ) -> None:
        if old.keys() - new.keys():
            raise Exotic
        pairs = {key_of(name): (name, value) for name, value in node.value}
        for text, (name, value) in pairs.items():
            if text is not None:
                self.change(value, old[text], new[text], name, in_flow=in_flow)
        added = {text: new[text] for text in new if text not in pairs and (text not in old or old[text] != new[text])}
        if added and in_flow:
            self._flow_insert(node, [f"{flow(text)}: " for text in added], list(added.values()))
        elif added:
            first = node.value[0][0].start_mark
            self._block_insert(first.index, first.column, added, key)

    def _sequence(self, node: yaml.Node, old: list[Any], new: list[Any], key: yaml.Node | None, in_flow: bool) -> None:
        more = len(new) - len(old)
        if more == 0:
            for child, before, after in zip(node.value, old, new, strict=True):
                self.change(child, before, after, None, in_flow=in_flow)
        elif more < 0 or new[more:] != old:
            raise Exotic
        elif in_flow:
            self._flow_insert(node, [""] * more, new[:more])
        else:
            dash = self._layout.dash(node.value[0])
            self._block_insert(dash, dash - self._layout.line_start(dash), new[:more], key)

    def _block_insert(self, first: int, column: int, added: Any, key: yaml.Node | None) -> None:
        """Insert before the first entry of a block collection: right below its key, so above the entry's comments."""
        lines = block(added, column, self._layout.newline)
        below = self._layout.next_line(key.end_mark.index) if key is not None else first
        if key is None or below > first:
            self._edit(first, first, lines[column:] + " " * column)
        else:
            self._edit(below, below, lines)

    def _flow_insert(self, node: yaml.Node, keys: list[str], values: list[Any]) -> None:
        """Insert before the first entry of a flow collection, in lines of its own if that entry has one."""
        start = node.start_mark.index
        if self._text[start] not in "{[":
            raise Exotic
        found = _SPACE.match(self._text, start + 1)
        space = found.group() if found else ""
        indentation = space.rpartition("\n")[2] if "\n" in space else None
        entries = [key + self._flow(value, indentation) for key, value in zip(keys, values, strict=True)]
        self._edit(start + 1, start + 1, "".join(f"{space}{entry},{'' if space else ' '}" for entry in entries))

    def _flow(self, value: Any, indentation: str | None) -> str:
        """Write a value as JSON, over lines if it starts in a line of its own with this indentation."""
        if indentation is None:
            return flow(value)
        return flow(value, self._layout.step()).replace("\n", f"{self._layout.newline}{indentation}")

    def _replace(self, node: yaml.Node, new: Any, key: yaml.Node) -> None:
        """Put a value in place of a scalar or of an empty collection in block context."""
        start, end = node.start_mark.index, node.end_mark.index
        head, body = self._head_and_body(new, key.start_mark.column)
        below = self._layout.after_scalar(end, getattr(node, "style", None))
        if below <= end and end > start:
            # A block scalar: its end is already the next line.
            self._edit(start, end, f"{head}{self._layout.newline}{body}")
            return
        colon = self._layout.before(start, " ")
        self._edit(colon, end, f" {head}" if head else "")
        if body:
            self._edit(below, below, body)

    def _head_and_body(self, value: Any, column: int) -> tuple[str, str]:
        head, _, body = dump({"k": value}).partition("\n")
        indent = " " * column
        lines = body.removesuffix("\n").split("\n") if body else []
        return head[2:].strip(), "".join(f"{indent if line else ''}{line}{self._layout.newline}" for line in lines)

    def _edit(self, start: int, end: int, replacement: str) -> None:
        length = len(self._text)
        if start > length:
            # The file's last line has no line break; neither has what now comes last.
            start = end = length
            replacement = self._layout.newline + replacement.removesuffix(self._layout.newline)
        self._edits.append((start, end, replacement))
