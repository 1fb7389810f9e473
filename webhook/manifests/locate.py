"""The line on which a part of a document stands, for messages."""

from __future__ import annotations

from collections.abc import Sequence

import yaml

from webhook.manifests.layout import key_of
from webhook.manifests.parse import NotParsed, compose
from webhook.manifests.split import body_start


def line_of(text: str, path: Sequence[str | int]) -> int:
    """Give the line, counted from 0, of a part of a document's text; of what holds it if it is not there."""
    try:
        node = compose(text)
    except NotParsed:
        node = None
    if node is None:
        return text.count("\n", 0, body_start(text))
    line = node.start_mark.line
    for part in path:
        found = _child(node, part)
        if found is None:
            break
        line, node = found
    return int(line)


def _child(node: yaml.Node, part: str | int) -> tuple[int, yaml.Node] | None:
    if isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
        return node.value[part].start_mark.line, node.value[part]
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            if key_of(key) == part:
                return key.start_mark.line, value
    return None
