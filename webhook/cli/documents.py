"""Documents written back as one stream: what changed edited in place, the rest copied byte for byte."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from webhook.cli.report import Report
from webhook.manifests import Change, Document, Rewritten, join

_Edit = Callable[[Document, Sequence[Change]], Rewritten]


def rewritten(
    documents: Sequence[Document], changes: Mapping[int, Sequence[Change]], edit: _Edit, report: Report
) -> str:
    """Give the text of all documents, in order; `changes` by the identity of their document."""
    files: list[list[str]] = []
    for document in documents:
        if document.number == 1:
            files.append([])
        some = changes.get(id(document))
        files[-1].append(_text(document, some, edit, report) if some else document.text)
    return join(map("".join, files))


def _text(document: Document, changes: Sequence[Change], edit: _Edit, report: Report) -> str:
    found = edit(document, changes)
    if found.anew:
        why = "written anew, without its comments: aliases, merge keys or its layout forbid an edit in place"
        report.careful(document.where(), f"warning: {why}")
    return found.text
