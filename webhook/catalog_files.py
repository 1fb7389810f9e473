"""The catalog from files: read at the start, read again when they change, replaced whole."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import structlog

from webhook.core.catalog import Catalog, build_catalog
from webhook.core.errors import CatalogNotReady, ManifestError, SettingsError
from webhook.manifests import objects, read_documents
from webhook.observe import CatalogMetrics

_Mark = tuple[str, int, int, int]
"""Path, inode, size and time of change of a file."""


class CatalogHolder:
    """Holds the catalog in use; readers take the reference once a request."""

    def __init__(self) -> None:
        self._catalog: Catalog | None = None

    @property
    def current(self) -> Catalog:
        """Give the catalog in use; raises CatalogNotReady before there is one."""
        if self._catalog is None:
            raise CatalogNotReady("the Services are not known yet")
        return self._catalog

    def publish(self, catalog: Catalog) -> None:
        """Put a catalog into use."""
        self._catalog = catalog

    def missing(self) -> str | None:
        """Say that there is no catalog yet, or nothing."""
        return None if self._catalog else "the Services are not known yet"


@dataclass(frozen=True, slots=True)
class _Reading:
    """A catalog with its digest, which is made once since it costs."""

    catalog: Catalog
    version: str
    marks: frozenset[_Mark]


class CatalogFiles:
    """Reads files and folders of manifests into a holder."""

    def __init__(self, paths: Sequence[Path], holder: CatalogHolder, metrics: CatalogMetrics) -> None:
        """Read the files the first time.

        Raises SettingsError with every problem: file, document, line, what was expected.
        """
        self._paths = tuple(paths)
        self._holder = holder
        self._metrics = metrics
        self._log = structlog.get_logger().bind()
        self._told: tuple[str, ...] = ()
        self._version = ""
        try:
            reading = self._read()
        except ManifestError as error:
            raise SettingsError([f"catalog: {problem}" for problem in error.problems]) from error
        self._marks = reading.marks
        self._take(reading)

    async def run(self, seconds: float) -> None:
        """Look again and again, for as long as the process lives."""
        while True:
            await asyncio.sleep(seconds)
            await self.look()

    async def look(self) -> None:
        """Take what the files say if it has changed; keep the catalog in use if they are broken."""
        marks = await asyncio.to_thread(self._scan)
        if marks == self._marks:
            self._metrics.seen()
            return
        try:
            # In a thread: admissions go on while thousands of Services are read.
            reading = await asyncio.to_thread(self._read)
        except ManifestError as error:
            self._marks = marks
            self._refused(error.problems)
        else:
            self._marks = reading.marks
            self._take(reading)

    def _read(self) -> _Reading:
        marks = self._scan()
        catalog = build_catalog(obj for obj, _, _ in objects(read_documents(self._paths)))
        return _Reading(catalog, catalog.version, marks)

    def _take(self, reading: _Reading) -> None:
        self._told = ()
        catalog = reading.catalog
        if reading.version == self._version and _rest(catalog) == _rest(self._holder.current):
            self._metrics.seen()
            return
        self._version = reading.version
        self._holder.publish(catalog)
        upstreams = sum(len(service.upstreams) for service in catalog.services.values())
        self._metrics.loaded(len(catalog.services), upstreams, catalog.problems)
        self._log.info("catalog loaded", services=len(catalog.services), upstreams=upstreams, version=self._version)
        for problem in catalog.problems:
            self._log.warning("catalog problem", code=problem.code, where=problem.where, message=problem.message)

    def _refused(self, problems: tuple[str, ...]) -> None:
        self._metrics.failed()
        if problems != self._told:
            self._told = problems
            self._log.error("catalog refused, the old one stays in use", problems=problems)

    def _scan(self) -> frozenset[_Mark]:
        return frozenset(mark for path in self._paths for mark in _marks(path))


def _rest(catalog: Catalog) -> tuple[Any, ...]:
    """Give what a catalog's version does not tell of."""
    return catalog.problems, catalog.trust


def _marks(path: Path) -> Iterator[_Mark]:
    """Give a mark for a file, or for every file and folder below a folder; a vanished one has none."""
    yield from _mark(path)
    for folder, _, files in os.walk(path):
        yield from _mark(Path(folder))
        for name in files:
            yield from _mark(Path(folder, name))


def _mark(path: Path) -> Iterator[_Mark]:
    try:
        status = path.stat()
    except OSError:
        return
    yield str(path), status.st_ino, status.st_size, status.st_mtime_ns
