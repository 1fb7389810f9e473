"""Runs checks in order. One that fails, raises or takes too long never ends the run."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from webhook.check.facts import Facts
from webhook.check.installed import Installed
from webhook.check.model import Finding, Line, NotAllowed, Result, Unknown, failed, skipped, warning
from webhook.check.place import Place
from webhook.check.shipped import Shipped
from webhook.kube.errors import ClusterError, Forbidden

_REACH: Final = ("kubectl get --raw /readyz", "kubectl config current-context, if it is the wrong cluster")
"""What tells whether it is the API server's fault or the way to it."""


@dataclass(frozen=True, slots=True)
class Context:
    """What every check is given."""

    facts: Facts
    place: Place
    shipped: Callable[[], Shipped]
    """What should be there; raises Unknown where it is not known."""
    installed: Installed
    """How the webhook of this cluster injects."""
    now: Callable[[], datetime]


@dataclass(frozen=True, slots=True)
class Check:
    """One line of the report: where it stands, and how it comes about."""

    category: str
    name: str
    title: str
    look: Callable[[Context], Awaitable[Finding]]
    needs: tuple[str, ...] = ()
    """Names of earlier checks; where one of them failed or was skipped, this one cannot be judged."""


async def run(
    checks: Sequence[Check],
    context: Context,
    *,
    limit: float,
    begins: Callable[[Check], None],
    ends: Callable[[Line], None],
) -> list[Line]:
    """Run checks, each within `limit` seconds, and tell of every beginning and end."""
    lines: dict[str, Line] = {}
    for check in checks:
        begins(check)
        lacking = next(_lacking(check, lines), None)
        finding = skipped(f"not looked at: {lacking}") if lacking else await _look(check, context, limit)
        lines[check.name] = Line(check.category, check.name, check.title, finding)
        ends(lines[check.name])
    return list(lines.values())


def _lacking(check: Check, lines: Mapping[str, Line]) -> Iterator[str]:
    for name in check.needs:
        before = lines[name]
        if before.finding.result is Result.FAILED:
            yield f"'{before.title}' failed"
        elif before.finding.result is Result.SKIPPED:
            yield f"'{before.title}' was skipped"


async def _look(check: Check, context: Context, limit: float) -> Finding:
    try:
        async with asyncio.timeout(limit):
            return await check.look(context)
    except TimeoutError:
        return failed(f"no result within {limit:g} s", remedy="give it more time with --timeout SECONDS")
    except (NotAllowed, Forbidden) as error:
        return warning(f"cannot be looked at: {error}", remedy="run the check with an account that may read it")
    except Unknown as error:
        return skipped(f"cannot be judged: {error}")
    except ClusterError as error:
        return failed(str(error), remedy=_REACH)
    except Exception as error:  # noqa: BLE001 - a bug in one check shall not hide what the others find
        return failed(
            f"the check itself broke: {type(error).__name__}: {error}",
            remedy="please report this with the output of `evenkeel --version`",
        )
