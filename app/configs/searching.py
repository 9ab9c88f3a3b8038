"""How a search's trials are run on this machine."""

import dataclasses
import math
from typing import Any

from base.errors import UserError


def _flag(default: Any, help_text: str) -> Any:
    metadata = {"help": help_text, "resumable": True}
    return dataclasses.field(default=default, metadata=metadata)


@dataclasses.dataclass(frozen=True)
class AgentConfig:
    """Processes of this machine"""

    workers: int = _flag(
        1,
        "Trials at a time. The cores and the GPUs are divided among them. Give the"
        " same command on other machines that share the folder to add theirs.",
    )
    trial_memory: float | None = _flag(
        None, "GB of main memory that a trial may take before it counts as failed."
    )
    warm: bool = _flag(
        True,
        "Fork trials from a process that has imported TensorFlow, rather than import it"
        " in each of them. Linux only.",
    )

    def __post_init__(self) -> None:
        if self.workers < 1:
            raise UserError(f"--workers={self.workers}: expected 1 or more")
        limit = self.trial_memory
        if limit is not None and not 0 < limit < math.inf:
            raise UserError(f"--trial_memory={limit}: expected a number of GB above 0")
