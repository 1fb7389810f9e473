"""A document's text after JSON Patch operations: edited in place where possible, else written anew."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import jsonpatch
import yaml

from webhook.core.outcome import Operation
from webhook.core.patch import pointer
from webhook.manifests.emit import dump, flow
from webhook.manifests.layout import Exotic, Layout
from webhook.manifests.parse import NotParsed, compose, is_json, parse
from webhook.manifests.read import Document
from webhook.manifests.shape import Path
from webhook.manifests.splice import splice
from webhook.manifests.split import BOM, body_start

_BLANK_OR_COMMENT: Final = re.compile(r"[ \t]*(#.*)?\r?\n?")

Change = tuple[Path, Sequence[Operation]]
"""Operations relative to a path in a document's value."""


@dataclass(frozen=True, slots=True)
class Rewritten:
    """A changed document."""

    text: str
    anew: bool
    """Its layout could not be kept: written anew, without its comments."""


def rewrite(document: Document, changes: Iterable[Change]) -> Rewritten:
    """Apply operations, each list relative to its path in the document's value, to the document's text.

    The text returned parses to exactly what the operations give. JSON stays JSON.
    """
    operations = [
        {**json.loads(json.dumps(dict(operation))), "path": pointer(*path) + operation["path"]}
        for path, some in changes
        for operation in some
    ]
    wanted = jsonpatch.apply_patch(document.value, operations)
    bom, text = (BOM, document.text[1:]) if document.text.startswith(BOM) else ("", document.text)
    found = _rewrite(text, document.value, wanted)
    return Rewritten(bom + found.text, found.anew)


def _rewrite(text: str, value: Any, wanted: Any) -> Rewritten:
    was_json = is_json(text)
    try:
        spliced = splice(text, value, wanted)
        if parse(spliced) == wanted and is_json(spliced) == was_json:
            return Rewritten(spliced, anew=False)
    except (Exotic, NotParsed):
        pass  # an alias, a merge key, an odd layout: the text below is as true, only plainer
    return Rewritten(_json(text, wanted) if was_json else _yaml(text, wanted), anew=not was_json)


def _json(text: str, value: Any) -> str:
    start = body_start(text)
    start += len(text[start:]) - len(text[start:].lstrip())
    step = Layout(text).step() if "\n" in text.strip() else None
    end = text[len(text.rstrip()) :]
    return f"{text[:start]}{flow(value, step)}{end}"


def _yaml(text: str, value: Any) -> str:
    """Write a value between what stands before and after the document's content: comments and markers."""
    layout = Layout(text)
    start, end = _extent(layout)
    written = dump(value).replace("\n", layout.newline)
    return f"{text[:start]}{'' if start == 0 or text[start - 1] == chr(10) else layout.newline}{written}{text[end:]}"


def _extent(layout: Layout) -> tuple[int, int]:
    """Give where the content of a text begins, at the start of a line if possible, and where the line after it does."""
    text = layout.text
    opened = body_start(text)
    same_line = _BLANK_OR_COMMENT.match(text, opened)
    start = same_line.end() if same_line and same_line.group().strip() else opened
    node = compose(text)
    if node is not None:
        start = max(start, layout.line_start(node.start_mark.index))
    last = [
        token
        for token in yaml.scan(text, Loader=yaml.CSafeLoader)
        if not isinstance(token, yaml.BlockEndToken | yaml.DocumentEndToken | yaml.StreamEndToken)
    ][-1]
    return start, layout.after_scalar(last.end_mark.index, getattr(last, "style", None))
