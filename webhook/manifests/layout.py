"""Places in a document's text: where its parts begin and end, and how its lines break."""

from __future__ import annotations

import re
from typing import Final

import yaml

from webhook.manifests import scalars

_STEP: Final = re.compile(r"\{\s*?\n([ \t]+)")
_BLOCK_SCALARS: Final = ("|", ">")


class Exotic(Exception):
    """The text is laid out in a way that cannot be edited in place."""


class Layout:
    """Answers questions about one document's text."""

    def __init__(self, text: str) -> None:
        """Take the text; the first line decides how lines break."""
        self.text = text
        self.newline = "\r\n" if "\r\n" in text else "\n"

    def next_line(self, index: int) -> int:
        """Give where the line after the one at an index begins; past the text's end if it is the last."""
        found = self.text.find("\n", index)
        return len(self.text) + 1 if found < 0 else found + 1

    def line_start(self, index: int) -> int:
        """Give where the line at an index begins."""
        return self.text.rfind("\n", 0, index) + 1

    def step(self) -> str:
        """Give the indentation that braces over lines add; two spaces where there are none."""
        found = _STEP.search(self.text)
        return found.group(1) if found else "  "

    def own_indentation(self, index: int) -> str | None:
        """Give the white space before an index if nothing else stands before it in its line."""
        before = self.text[self.line_start(index) : index]
        return None if before.strip(" \t") else before

    def after_scalar(self, end: int, style: str | None) -> int:
        """Give where the line after a scalar begins; a block scalar's end is already there."""
        if style in _BLOCK_SCALARS and self.text[end - 1 : end] == "\n":
            return end
        return self.next_line(end)

    def dash(self, item: yaml.Node) -> int:
        """Give the place of the `-` before a block sequence's item; raises Exotic if a comment is in between."""
        place = self.before(item.start_mark.index, " \r\n") - 1
        if self.text[place : place + 1] != "-":
            raise Exotic
        return place

    def before(self, index: int, passed: str) -> int:
        """Give the place that is left when some characters before an index are passed over."""
        while index > 0 and self.text[index - 1] in passed:
            index -= 1
        return index


def is_alias_of(node: yaml.Node, key: yaml.Node) -> bool:
    """Say whether a mapping's value stands before its key, and so is an alias of something above."""
    return bool(node.start_mark.index < key.start_mark.index)


def is_flow(node: yaml.Node) -> bool:
    """Say whether a node is written with braces or brackets."""
    return isinstance(node, yaml.CollectionNode) and bool(node.flow_style)


def key_of(node: yaml.Node) -> str | None:
    """Give the text of a mapping's key as Kubernetes would see it; None for a merge key."""
    if node.tag == scalars.MERGE or not isinstance(node, yaml.ScalarNode):
        return None
    return str(node.value) if node.tag == scalars.STR else scalars.key_text(scalars.resolve(node.value)[1])
