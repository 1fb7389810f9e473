"""The source of a pair: mounted files, compared by content since a mounted Secret sends no events."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from webhook.core.errors import SettingsError
from webhook.tls.bundle import Content

_MOST_BYTES = 1024 * 1024


@dataclass(frozen=True, slots=True)
class CertificateFiles:
    """Where the pair, and the CAs of callers, are."""

    certificate: Path
    key: Path
    client_ca: Path | None = None

    def read(self) -> Content:
        """Read the files.

        A pair that is being replaced may be read half old, half new: it does not fit together, and the next
        reading will. Raises SettingsError that names every file which cannot be read.
        """
        problems: list[str] = []
        found = {name: read_file(name, path, problems) for name, path in self._paths()}
        if problems:
            raise SettingsError(problems)
        return Content(found["tls_cert"], found["tls_key"], found.get("client_ca"))

    def _paths(self) -> Iterator[tuple[str, Path]]:
        yield "tls_cert", self.certificate
        yield "tls_key", self.key
        if self.client_ca is not None:
            yield "client_ca", self.client_ca


def read_file(name: str, path: Path, problems: list[str]) -> bytes:
    """Read a file; what is wrong with it joins the problems, under the name of its setting."""
    try:
        with path.open("rb") as file:
            content = file.read(_MOST_BYTES + 1)
    except OSError as error:
        problems.append(f"{name}: {path}: cannot be read: {error.strerror or error}")
        return b""
    if len(content) > _MOST_BYTES:
        problems.append(f"{name}: {path}: found more than {_MOST_BYTES} bytes, expected PEM")
    return content
