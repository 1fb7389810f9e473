"""Manifests from standard input, files and folders, as documents that remember their text and their place."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from webhook.core.errors import ManifestError
from webhook.manifests.faults import Fault
from webhook.manifests.locate import line_of
from webhook.manifests.parse import NotParsed, parse
from webhook.manifests.shape import Path as PathInDocument
from webhook.manifests.shape import check, expand
from webhook.manifests.split import Piece, split

STDIN: Final = "-"
_ENDINGS: Final = (".yaml", ".yml", ".json")
_KUSTOMIZE: Final = ("kustomization.yaml", "kustomization.yml")
"""Kustomize's own input; no object of Kubernetes."""


@dataclass(frozen=True, slots=True)
class Document:
    """One document of a file. The texts of a file's documents, joined, are the file byte for byte."""

    source: str
    """The file as it was asked for; `<stdin>` for standard input."""
    number: int
    """From 1, in its file."""
    line: int
    """From 1, where its text begins in its file."""
    text: str
    """With the comments and the `---` before it."""
    value: Any
    """As Kubernetes would read it; None if it is empty."""

    def where(self, path: Sequence[str | int] = ()) -> str:
        """Give `FILE: document N, line L` for a part of it, as messages begin."""
        return f"{self.source}: document {self.number}, line {self.line + line_of(self.text, path)}"


def read_documents(paths: Sequence[str | Path]) -> list[Document]:
    """Read every document of some files and folders, in order; `-` is standard input.

    Folders are read with everything below them, in the order of names: *.yaml, *.yml and *.json, without
    hidden entries and without kustomization files. Raises ManifestError with every problem of every file.
    """
    problems: list[str] = []
    documents: list[Document] = []
    for path in paths:
        for file in _files(str(path), problems):
            documents += _read(file, problems)
    if problems:
        raise ManifestError(problems)
    return documents


def objects(documents: Iterable[Document]) -> Iterator[tuple[Any, Document, PathInDocument]]:
    """Give every Kubernetes object with its document and its path in there; lists are opened, also nested ones."""
    for document in documents:
        for path, obj in expand(document.value):
            yield obj, document, path


def _files(path: str, problems: list[str]) -> Iterator[str]:
    if path == STDIN or not os.path.isdir(path):  # noqa: PTH112
        yield path
        return
    found = False
    for folder, below, names in os.walk(path):
        # A mounted ConfigMap holds every file twice: once by its name and once in a hidden folder.
        below[:] = sorted(name for name in below if not name.startswith("."))
        for name in sorted(names):
            if name.endswith(_ENDINGS) and not name.startswith(".") and name not in _KUSTOMIZE:
                found = True
                yield os.path.join(folder, name)  # noqa: PTH118
    if not found:
        problems.append(f"{path}: found no manifest in this folder; expected *.yaml, *.yml or *.json files")


def _read(file: str, problems: list[str]) -> list[Document]:
    source = "<stdin>" if file == STDIN else file
    try:
        content = sys.stdin.buffer.read() if file == STDIN else Path(file).read_bytes()
        text = content.decode("utf-8")
    except OSError as error:
        reason = error.strerror or str(error)
        problems.append(f"{source}: cannot be read ({reason}); expected a file, a folder or - for standard input")
        return []
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        byte = f"0x{error.object[error.start]:02x}"
        problems.append(f"{source}: line {line}: found the byte {byte}, which is not UTF-8; expected UTF-8 text")
        return []
    return [_document(source, number, piece, problems) for number, piece in enumerate(split(text), start=1)]


def _document(source: str, number: int, piece: Piece, problems: list[str]) -> Document:
    document = Document(source, number, piece.line, piece.text, value=None)
    try:
        value = parse(piece.text)
    except NotParsed as error:
        problems += [_told(document, fault) for fault in error.faults]
        return document
    document = Document(source, number, piece.line, piece.text, value)
    problems += [f"{document.where(path)}: {told}" for path, told in check(value)]
    return document


def _told(document: Document, fault: Fault) -> str:
    return f"{document.source}: document {document.number}, line {document.line + fault.line}: {fault}"
