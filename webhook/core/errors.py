"""The errors of Evenkeel, each named for who must act.

    EvenkeelError
    ├── PodRejected        the Pod's author       allowed false, 422
    ├── MalformedReview    the caller             HTTP 400 / 413 / 415
    ├── NotAPod            the caller             becomes one of its neighbours at the edge
    ├── ManifestError      who wrote the file     exit code 1 (`inject`, `config`)
    ├── SettingsError      the operator, at start exit code 2
    │   └── TemplateError
    └── CatalogNotReady    the cluster, a while   HTTP 503

Anything else that is raised is a bug of ours: HTTP 500.
"""

from collections.abc import Sequence


class EvenkeelError(Exception):
    """The root of every error that is raised on purpose."""


class _Problems(EvenkeelError):
    """An error that carries every problem at once, each a whole sentence."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("; ".join(problems))
        self.problems = tuple(problems)


class PodRejected(_Problems):
    """The Pod asks for something impossible in its own words; its author must mend it."""


class MalformedReview(EvenkeelError):
    """What was sent is not an AdmissionReview of a Pod; the caller must mend it."""

    def __init__(self, message: str, *, status: int = 400) -> None:
        super().__init__(message)
        self.status = status


class NotAPod(EvenkeelError):
    """A document is not shaped like a Pod; the message names the field, what was found and what is expected."""


class ManifestError(_Problems):
    """A manifest cannot be read; whoever wrote the file must mend it."""


class SettingsError(_Problems):
    """A setting is wrong; the operator must mend it before anything is served."""


class TemplateError(SettingsError):
    """A file of sidecar_templates/ does not fit; the operator must mend it."""


class CatalogNotReady(EvenkeelError):
    """The Services are not known yet; ask again later."""
