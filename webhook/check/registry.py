"""All checks, in the order of the report."""

from __future__ import annotations

from typing import Final

from webhook.check.checks_before import ADMISSION, BEFORE, KUBELETS, REACHABLE, SERVER
from webhook.check.checks_installation import INSTALLATION
from webhook.check.checks_workloads import WORKLOADS

AFTER: Final = (REACHABLE, SERVER, KUBELETS, ADMISSION, *INSTALLATION, *WORKLOADS)
"""What is looked at after installation."""

__all__ = ["AFTER", "BEFORE"]
