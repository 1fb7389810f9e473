"""What can go wrong with a call to the API server, each for who must act; made in one place from its answer.

ClusterError          the rest: 405, 413, 415 ...: a mistake of ours
├── Forbidden         401, 403             whoever installs: credentials or RBAC
├── NotFound          404                  the caller knows what absence means
├── Conflict          409                  read again, and try again
├── AlreadyExists     409 AlreadyExists    somebody was faster
├── Gone              410                  a version is too old (or from the future): list again
├── Invalid           400, 422             whoever wrote the object
└── Unreachable       no connection, TLS, time-outs, 429, 5xx: wait, then try again

Who waits and tries again is the caller: `retry_after` says how long the API server wants it to.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

import orjson

from webhook.core.errors import EvenkeelError

_LONGEST: Final = 256
_RBAC: Final = re.compile(r'User "(?P<user>[^"]+)" cannot (?P<verb>\w+) resource "(?P<resource>[^"]+)".*?')
_ACCOUNT: Final = re.compile(r"system:serviceaccount:[^:]+:(?P<name>evenkeel-[a-z-]+)")
_LONGEST_WAIT: Final = 120.0
"""Seconds that a Retry-After may ask for; more is a mistake of somebody's clock."""


class ClusterError(EvenkeelError):
    """A call to the API server did not do what it should; the text says which, why and what to do."""

    what = "failed"

    def __init__(
        self,
        verb: str,
        path: str,
        message: str,
        *,
        status: int | None = None,
        reason: str = "",
        retry_after: float | None = None,
    ) -> None:
        super().__init__(": ".join(part for part in (f"{verb} {path}", self.what, message) if part))
        self.verb = verb
        self.path = path
        self.status = status
        self.reason = reason
        """As the API server's Status has it, such as `AlreadyExists`."""
        self.message = message
        self.retry_after = retry_after
        """Seconds that the API server asks to wait, where it does."""


class Forbidden(ClusterError):
    """Our credentials are not accepted, or do not allow it."""

    what = "forbidden"


class NotFound(ClusterError):
    """There is no such object, or no such resource."""

    what = "not found"


class Conflict(ClusterError):
    """The object has changed since it was read."""

    what = "conflict"


class AlreadyExists(ClusterError):
    """Somebody has created it before."""

    what = "exists already"


class Gone(ClusterError):
    """The version asked for is not (or not yet) known to the API server; only a new list helps."""

    what = "expired"


class Invalid(ClusterError):
    """The API server refuses the object or the question."""

    what = "refused"


class Unreachable(ClusterError):
    """The API server does not answer, or cannot now."""

    what = "no answer"


class Silent(Unreachable):
    """An answer has begun and nothing more came for too long: the connection may be dead."""


_BY_STATUS: Final[Mapping[int, type[ClusterError]]] = {
    400: Invalid,
    401: Forbidden,
    403: Forbidden,
    404: NotFound,
    409: Conflict,
    410: Gone,
    422: Invalid,
    429: Unreachable,
}
_BY_REASON: Final[Mapping[str, type[ClusterError]]] = {"AlreadyExists": AlreadyExists, "Expired": Gone, "Gone": Gone}
_SERVER_ERROR: Final = 500


def error_from_answer(
    verb: str, path: str, status: int, body: bytes, headers: Mapping[str, str] | None = None
) -> ClusterError:
    """Make the error for an answer that is none of success.

    Of the body only the message of a Status is shown, and not all of a long one: whatever stands between us and
    the API server may answer with a page.
    """
    return error_from_status(verb, path, _status_object(body), status, _seconds((headers or {}).get("Retry-After")))


def error_from_status(
    verb: str, path: str, found: Mapping[str, Any], status: int, retry_after: float | None = None
) -> ClusterError:
    """Make the error for an object of kind Status, such as a watch ends with; `status` counts if it has no code."""
    code = found["code"] if isinstance(found.get("code"), int) else status
    reason = str(found.get("reason") or "")
    kind = Gone if _from_the_future(found) else _BY_REASON.get(reason) or _kind(code)
    message = shorten(str(found.get("message") or ""))
    if kind is Forbidden:
        message = _forbidden(code, message)
    elif kind is Unreachable or not message:
        message = f"HTTP {code}{': ' if message else ''}{message}"
    return kind(verb, path, message, status=code, reason=reason, retry_after=retry_after)


def shorten(text: str) -> str:
    """Give a stranger's text as one printable line of at most 256 characters."""
    line = " ".join(text.split())
    line = line if line.isprintable() else ascii(line)[1:-1]
    return line if len(line) <= _LONGEST else f"{line[: _LONGEST - 3]}..."


def _kind(code: int) -> type[ClusterError]:
    return Unreachable if code >= _SERVER_ERROR else _BY_STATUS.get(code, ClusterError)


def _status_object(body: bytes) -> Mapping[str, Any]:
    try:
        found = orjson.loads(body)
    except orjson.JSONDecodeError:
        return {}
    return found if isinstance(found, dict) and found.get("kind") == "Status" else {}


def _from_the_future(found: Mapping[str, Any]) -> bool:
    """Say whether a version is too new: etcd was restored from a backup, and waiting does not help."""
    details = found.get("details")
    causes = details.get("causes") if isinstance(details, dict) else None
    return any(isinstance(cause, dict) and cause.get("reason") == "ResourceVersionTooLarge" for cause in causes or ())


def _forbidden(code: int, message: str) -> str:
    if code != 403:  # noqa: PLR2004
        return "the API server does not accept our credentials; has the token or the login expired?"
    found = _RBAC.search(message)
    if found is None:
        return message  # an admission policy, a quota or Pod Security: its own words say what to do
    account = _ACCOUNT.fullmatch(found["user"])
    role = f"bind ClusterRole {account['name']} (deploy/base)" if account else "ask for a role that allows it"
    return f"{found['user']} may not {found['verb']} {found['resource']}; {role}"


def _seconds(text: str | None) -> float | None:
    """Read a Retry-After; the API server writes seconds, never a date."""
    if text is None or not text.strip().isdecimal():
        return None
    return min(float(text), _LONGEST_WAIT)
