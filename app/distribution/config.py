"""Which devices a run uses, and how."""

import dataclasses

from app.errors import UserError


@dataclasses.dataclass(frozen=True)
class DistributionConfig:
    """Devices and strategy"""

    strategy: str = dataclasses.field(
        default="auto",
        metadata={
            "help": "one_device, or mirrored: synchronous on all GPUs, or on"
            " --logical_cpus; auto takes mirrored where there are several devices.",
            "choices": ("auto", "one_device", "mirrored"),
            "resumable": True,
        },
    )
    logical_cpus: int = dataclasses.field(
        default=1,
        metadata={
            "help": "Split the CPU into that many logical devices, to try data"
            " parallelism without GPUs.",
            "resumable": True,
        },
    )

    def __post_init__(self) -> None:
        if self.logical_cpus < 1:
            raise UserError(f"--logical_cpus={self.logical_cpus}: expected 1 or more")
        if self.strategy == "one_device" and self.logical_cpus > 1:
            raise UserError(
                f"--strategy=one_device with --logical_cpus={self.logical_cpus}:"
                " expected one device; drop one of the two"
            )
