"""How a search's trials are run on this machine."""

import dataclasses
import math

from base.fields import flag, require


@dataclasses.dataclass(frozen=True)
class AgentConfig:
    """Processes of this machine"""

    workers: int = flag(
        1,
        "Trials at a time. The cores and the GPUs are divided among them. Give the"
        " same command on other machines that share the folder to add theirs.",
        resumable=True,
    )
    trial_memory: float | None = flag(
        None,
        "GB of main memory that a trial may take before it counts as failed.",
        resumable=True,
    )
    warm: bool = flag(
        True,
        "Fork trials from a process that has imported TensorFlow, rather than import it"
        " in each of them. Linux only.",
        resumable=True,
    )

    def __post_init__(self) -> None:
        require(self.workers >= 1, "workers", self.workers, "1 or more")
        limit = self.trial_memory
        holds = limit is None or 0 < limit < math.inf
        require(holds, "trial_memory", limit, "a number of GB above 0")
