"""The catalog from files: read at the start, read again when they change, replaced whole."""

from __future__ import annotations

import asyncio
import os
from base64 import b64decode
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import structlog

from webhook.core import names
from webhook.core.catalog import Catalog, build_catalog
from webhook.core.errors import CatalogNotReady, ManifestError, SettingsError
from webhook.manifests import objects, read_documents
from webhook.observe import CatalogMetrics

_PEM: Final = "-----BEGIN CERTIFICATE-----"
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
        found = [obj for obj, _, _ in objects(read_documents(self._paths))]
        catalog = replace(build_catalog(found), trust=_authorities(found))
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


def _authorities(found: Iterable[Any]) -> str:
    """Give the CAs, PEM, by which our webhook configurations say that API servers know us, each bundle once.

    They sign the certificate of `evenkeel xds` too. A bundle that is no PEM is nobody's.
    """
    texts: dict[str, None] = {}
    for obj in found:
        if isinstance(obj, dict) and obj.get("kind") == "MutatingWebhookConfiguration":
            texts.update(dict.fromkeys(_bundles(obj)))
    return "".join(f"{text}\n" for text in texts if _PEM in text)


def _bundles(configuration: dict[str, Any]) -> Iterator[str]:
    webhooks = configuration.get("webhooks")
    for webhook in webhooks if isinstance(webhooks, list) else ():
        ours = isinstance(webhook, dict) and str(webhook.get("name")).endswith(f".{names.DOMAIN}")
        client = webhook.get("clientConfig") if ours else None
        bundle = client.get("caBundle") if isinstance(client, dict) else None
        # ValueError: no base64, or no text.
        with suppress(ValueError):
            yield b64decode(bundle).decode("ascii").strip() if isinstance(bundle, str) else ""


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
