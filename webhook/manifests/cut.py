"""Entries taken out of the text a person wrote, so that all the other characters stay: the opposite of splicing.

What is cut is decided by comparing the old value with the new one along the text's nodes; the result is parsed
and compared with what was wanted before it is trusted.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from itertools import groupby
from typing import Any

import jsonpatch
import yaml

from webhook.core.patch import pointer
from webhook.manifests.layout import Exotic, Layout, is_alias_of, is_flow, key_of
from webhook.manifests.parse import NotParsed, compose, is_json, parse
from webhook.manifests.read import Document
from webhook.manifests.rewrite import Change, Rewritten, rewrite
from webhook.manifests.split import BOM


def take_out(document: Document, changes: Iterable[Change]) -> Rewritten:
    """Apply operations that only remove, each list relative to its path in the document's value, to its text.

    The text returned parses to exactly what the operations give. A comment inside what is removed goes with it,
    all others stay; where the layout forbids that, the document is written anew.
    """
    changes = list(changes)
    operations = [{**one, "path": pointer(*path) + one["path"]} for path, some in changes for one in some]
    wanted = jsonpatch.apply_patch(document.value, json.loads(json.dumps(operations)))
    bom, text = (BOM, document.text[1:]) if document.text.startswith(BOM) else ("", document.text)
    try:
        left = cut(text, document.value, wanted)
        if parse(left) == wanted and is_json(left) == is_json(text):
            return Rewritten(bom + left, anew=False)
    except (Exotic, NotParsed):
        pass  # an alias, a merge key, an odd layout
    return rewrite(document, changes)


def cut(text: str, old: Any, new: Any) -> str:
    """Remove entries from a document's text so that its value becomes `new`; `old` is the text's value.

    Raises Exotic where the text is laid out in a way that this cannot edit, NotParsed where it is no YAML.
    """
    node = compose(text)
    if node is None:
        raise Exotic
    cutter = _Cutter(text)
    cutter.change(node, old, new)
    return cutter.result()


class _Cutter:
    """Collects what is to go from one text."""

    def __init__(self, text: str) -> None:
        self._layout = Layout(text)
        self._text = text
        self._gone: list[tuple[int, int]] = []

    def result(self) -> str:
        """Give the text without it."""
        parts, position = [], 0
        for start, end in sorted(self._gone):
            if start < position:
                raise Exotic
            parts.append(self._text[position:start])
            position = end
        return "".join([*parts, self._text[position:]])

    def change(self, node: yaml.Node, old: Any, new: Any) -> None:
        """Cut from the text of a node what the new value no longer has."""
        if old == new:
            return
        if isinstance(node, yaml.MappingNode) and isinstance(new, dict) and new:
            self._mapping(node, old, new)
        elif isinstance(node, yaml.SequenceNode) and isinstance(new, list) and new:
            self._sequence(node, old, new)
        else:
            raise Exotic

    def _mapping(self, node: yaml.MappingNode, old: dict[str, Any], new: dict[str, Any]) -> None:
        kept = []
        for key, value in node.value:
            name = key_of(key)
            if name is None or is_alias_of(value, key):
                raise Exotic
            kept.append(name in new)
            if name in new:
                self.change(value, old[name], new[name])
        self._entries(node, kept, [key for key, _ in node.value], [value for _, value in node.value])

    def _sequence(self, node: yaml.SequenceNode, old: list[Any], new: list[Any]) -> None:
        kept, left = [], list(new)
        for item in old:
            kept.append(bool(left) and left[0] == item)
            if kept[-1]:
                left.pop(0)
        if left:
            # Items that changed rather than went: only where none went is it clear which is which.
            if len(old) != len(new):
                raise Exotic
            for child, before, after in zip(node.value, old, new, strict=True):
                self.change(child, before, after)
            return
        self._entries(node, kept, node.value, node.value)

    def _entries(self, node: yaml.Node, kept: list[bool], heads: list[yaml.Node], tails: list[yaml.Node]) -> None:
        """Cut whole entries, from the start of each one's head to the end of its tail."""
        for stays, run in groupby(range(len(kept)), kept.__getitem__):
            indices = list(run)
            if stays:
                continue
            if is_flow(node):
                self._of_flow(heads, tails, indices[0], indices[-1])
            else:
                for index in indices:
                    self._lines(node, heads[index], tails[index])

    def _of_flow(self, heads: list[yaml.Node], tails: list[yaml.Node], first: int, last: int) -> None:
        """Cut a run of entries with the commas after them; at the end of the collection, the comma before it."""
        if last + 1 < len(heads):
            self._gone.append((self._start(heads[first]), self._start(heads[last + 1])))
        else:
            self._gone.append((tails[first - 1].end_mark.index, tails[last].end_mark.index))

    def _start(self, head: yaml.Node) -> int:
        """Give where an entry of a flow collection begins: a key may have a `?` before it."""
        index = int(head.start_mark.index)
        mark = self._layout.before(index, " \r\n") - 1
        return mark if mark >= 0 and self._text[mark] == "?" else index

    def _lines(self, node: yaml.Node, head: yaml.Node, tail: yaml.Node) -> None:
        """Cut an entry of a block collection: its own lines, but no comment after it."""
        start = head.start_mark.index
        if isinstance(node, yaml.SequenceNode):
            start = self._layout.dash(head)
        line = self._layout.line_start(start)
        if self._text[line:start].strip(" "):
            raise Exotic
        end = min(self._end(tail), len(self._text))
        if end <= start:
            raise Exotic  # an alias: its marks are those of its anchor
        self._gone.append((line, end))

    def _end(self, node: yaml.Node) -> int:
        """Give where the line after a node begins; a block collection's own end is that of its last part."""
        if isinstance(node, yaml.CollectionNode) and not is_flow(node) and node.value:
            last = node.value[-1]
            return self._end(last[1] if isinstance(last, tuple) else last)
        return self._layout.after_scalar(node.end_mark.index, getattr(node, "style", None))
