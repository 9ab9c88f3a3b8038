"""Which devices and machines a run uses, and how."""

import dataclasses
import math
from typing import Any

from base.errors import UserError

STRATEGIES = ("auto", "one_device", "mirrored", "multi_worker", "parameter_server")


def _flag(default: Any, help_text: str, **metadata: Any) -> Any:
    metadata = {"help": help_text, "resumable": True} | metadata
    return dataclasses.field(default=default, metadata=metadata)


@dataclasses.dataclass(frozen=True)
class DistributionConfig:
    """Devices and strategy"""

    strategy: str = _flag(
        "auto",
        "one_device; mirrored: synchronous on all GPUs, or on --logical_cpus;"
        " multi_worker: synchronous on the machines that TF_CONFIG or SLURM names;"
        " parameter_server: asynchronous, each step by one of the workers that"
        " TF_CONFIG or SLURM names; auto takes the first of parameter_server,"
        " multi_worker, a TPU, mirrored, one_device that fits.",
        choices=STRATEGIES,
    )
    logical_cpus: int = _flag(
        1,
        "Split the CPU into that many logical devices, to try several devices without"
        " GPUs.",
    )
    accumulate: int = _flag(
        1,
        "Work through each replica's share of a batch in that many parts and add their"
        " gradients up, so that a large batch fits in little memory. Batch"
        " normalization then goes by parts.",
    )
    recompute: bool = _flag(
        False,
        "Keep only some activations for the backward pass and compute the others again:"
        " less memory for deep models, about a third more time.",
    )
    sync_batch_norm: bool = _flag(
        False,
        "Normalize by the statistics of the global batch rather than of each replica's"
        " share.",
        resumable=False,
    )
    parameter_servers: int = _flag(
        1,
        "With --strategy=parameter_server under srun: how many of the tasks after the"
        " first, which is the chief, hold the variables. TF_CONFIG says it itself.",
    )
    peer_timeout: float = _flag(
        60.0,
        "Seconds after which a worker that does not come, hangs or has died ends the"
        " run on the others, by name.",
    )
    trusted_network: bool = _flag(
        False,
        "Let workers on other machines connect. TensorFlow's server knows no passwords"
        " and no encryption: whoever reaches its port can run code.",
    )

    def __post_init__(self) -> None:
        for name in ("logical_cpus", "accumulate", "parameter_servers"):
            if getattr(self, name) < 1:
                raise UserError(f"--{name}={getattr(self, name)}: expected 1 or more")
        if not (math.isfinite(self.peer_timeout) and self.peer_timeout >= 1):
            raise UserError(
                f"--peer_timeout={self.peer_timeout}: expected 1 or more seconds"
            )
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

    workers: int = _flag(2, "Processes that train.")
    parameter_servers: int = _flag(
        0,
        "Processes that hold the variables, for --strategy=parameter_server; a chief"
        " is started beside them. 0 for synchronous training.",
    )
    restarts: int = _flag(
        3,
        "How often all workers are started again, from the last checkpoint, or one"
        " worker of parameter servers.",
    )
    patience: float = _flag(
        90.0,
        "Seconds in which the others have to end once one worker has ended; those that"
        " have not are killed. More than their --peer_timeout.",
    )

    def __post_init__(self) -> None:
        if self.workers < 1:
            raise UserError(f"--workers={self.workers}: expected 1 or more")
        for name in ("restarts", "parameter_servers"):
            if getattr(self, name) < 0:
                raise UserError(f"--{name}={getattr(self, name)}: expected 0 or more")
