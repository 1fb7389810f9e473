"""Documents of several files put into one stream."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise

from webhook.manifests.split import BOM, lines, opens_document, starts_with_directive


def join(files: Iterable[str]) -> str:
    """Put the texts of files one after the other, so that their documents stay apart; one text stays as it is."""
    texts = [text for text in files if text.removeprefix(BOM)]
    joined = texts[0] if texts else ""
    if len(texts) > 1 and joined.removeprefix(BOM).lstrip().startswith("{"):
        # Some readers take a stream that begins with `{` for JSON alone.
        joined = f"---\n{joined.removeprefix(BOM)}"
    return joined + "".join(_following(before, text) for before, text in pairwise(texts))


def _following(before: str, text: str) -> str:
    """Give a file's text with what must stand between it and the text before."""
    newline = "" if before.endswith(("\n", "\r")) else "\n"
    bare = text.removeprefix(BOM)
    if starts_with_directive(bare):
        ended = list(lines(before))[-1].startswith("...")
        return f"{newline}{'' if ended else f'...{chr(10)}'}{bare}"
    return f"{newline}{'' if opens_document(bare) else f'---{chr(10)}'}{bare}"
