"""Which devices and machines a run uses, and how."""

import dataclasses
import math

from base.errors import UserError
from base.fields import flag, require

STRATEGIES = ("auto", "one_device", "mirrored", "multi_worker", "parameter_server")


@dataclasses.dataclass(frozen=True)
class DistributionConfig:
    """Devices and strategy"""

    strategy: str = flag(
        "auto",
        "one_device; mirrored: synchronous on all GPUs, or on --logical_cpus;"
        " multi_worker: synchronous on the machines that TF_CONFIG or SLURM names;"
        " parameter_server: asynchronous, each step by one of the workers that"
        " TF_CONFIG or SLURM names; auto takes the first of parameter_server,"
        " multi_worker, a TPU, mirrored, one_device that fits.",
        choices=STRATEGIES,
        resumable=True,
    )
    logical_cpus: int = flag(
        1,
        "Split the CPU into that many logical devices, to try several devices without"
        " GPUs.",
        resumable=True,
    )
    accumulate: int = flag(
        1,
        "Work through each replica's share of a batch in that many parts and add their"
        " gradients up, so that a large batch fits in little memory. Batch"
        " normalization then goes by parts.",
        resumable=True,
    )
    recompute: bool = flag(
        False,
        "Keep only some activations for the backward pass and compute the others again:"
        " less memory for deep models, about a third more time.",
        resumable=True,
    )
    sync_batch_norm: bool = flag(
        False,
        "Normalize by the statistics of the global batch rather than of each replica's"
        " share.",
    )
    parameter_servers: int = flag(
        1,
        "With --strategy=parameter_server under srun: how many of the tasks after the"
        " first, which is the chief, hold the variables. TF_CONFIG says it itself.",
        resumable=True,
    )
    peer_timeout: float = flag(
        60.0,
        "Seconds after which a worker that does not come, hangs or has died ends the"
        " run on the others, by name.",
        resumable=True,
    )
    trusted_network: bool = flag(
        False,
        "Let workers on other machines connect. TensorFlow's server knows no passwords"
        " and no encryption: whoever reaches its port can run code.",
        resumable=True,
    )

    def __post_init__(self) -> None:
        for name in ("logical_cpus", "accumulate", "parameter_servers"):
            value = getattr(self, name)
            require(value >= 1, name, value, "1 or more")
        timeout = self.peer_timeout
        holds = 1 <= timeout < math.inf
        require(holds, "peer_timeout", timeout, "1 or more seconds")
        if self.sync_batch_norm and self.recompute:
            raise UserError(
                "--sync_batch_norm with --recompute: replicas would have to exchange"
                " statistics in the backward pass too; drop one of the two"
            )
        if self.sync_batch_norm and self.accumulate > 1:
            raise UserError(
                f"--sync_batch_norm with --accumulate={self.accumulate}: the parts of a"
                " batch are not all there when its statistics are needed; drop one of"
                " the two"
            )


@dataclasses.dataclass(frozen=True)
class LocalCluster:
    """The cluster"""

    workers: int = flag(2, "Processes that train.", resumable=True)
    parameter_servers: int = flag(
        0,
        "Processes that hold the variables, for --strategy=parameter_server; a chief"
        " is started beside them. 0 for synchronous training.",
        resumable=True,
    )
    restarts: int = flag(
        3,
        "How often all workers are started again, from the last checkpoint, or one"
        " worker of parameter servers.",
        resumable=True,
    )
    patience: float = flag(
        90.0,
        "Seconds in which the others have to end once one worker has ended; those that"
        " have not are killed. More than their --peer_timeout.",
        resumable=True,
    )

    def __post_init__(self) -> None:
        require(self.workers >= 1, "workers", self.workers, "1 or more")
        for name in ("restarts", "parameter_servers"):
            value = getattr(self, name)
            require(value >= 0, name, value, "0 or more")
