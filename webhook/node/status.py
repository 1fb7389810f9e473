"""What can be read about a container while and after it runs."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class ContainerStatus:
    """One moment of a container's life; replaced whole when it changes. Times are `time.time()`."""

    name: str
    state: Literal["waiting", "running", "terminated"] = "waiting"
    reason: str = "PodInitializing"
    message: str = ""
    started: bool = False
    """It runs and its startup probe, if it has one, has succeeded."""
    ready: bool = False
    """It is started and its readiness probe, if it has one, passes."""
    restarts: int = 0
    exit_code: int | None = None
    """Of the last run that ended."""
    started_at: float | None = None
    """When the last run began."""
    ended_at: float | None = None
    """When the last run ended."""

    def __str__(self) -> str:
        parts = [f"{self.name}: {self.state}"]
        if self.state == "running":
            parts.append("ready" if self.ready else "started, not ready" if self.started else "not started")
        else:
            parts.append(self.reason)
        if self.exit_code is not None:
            parts.append(f"last exit code {self.exit_code}")
        if self.restarts:
            parts.append(f"{self.restarts} restarts")
        return ", ".join(parts) + (f" ({self.message})" if self.message else "")
