"""Arms measured side by side: fresh processes, interleaved, medians with ranges.

A machine's speed drifts, so arms take turns in the order ABBA, and each ratio is taken
within a block. An arm that stands twice shows the noise: its ratio to itself.
"""

import dataclasses
import json
import os
import platform
import resource
import statistics
import subprocess
import time
from collections.abc import Mapping, Sequence
from typing import Any


@dataclasses.dataclass(frozen=True)
class Arm:
    """What is measured.

    Attributes:
      name: for the table.
      command: prints a JSON object of figures as its last line.
      status: the exit status that it ends with.
      has_figures: whether it prints any; if not, its wall and CPU time is all.
    """

    name: str
    command: tuple[str, ...]
    status: int = 0
    has_figures: bool = True


@dataclasses.dataclass(frozen=True)
class Sample:
    """One run of an arm: its own figures, and its process's wall and CPU seconds."""

    figures: Mapping[str, float]
    wall: float
    cpu: float


def run_once(arm: Arm) -> Sample:
    """Runs an arm in a process of its own.

    Raises:
      RuntimeError: it failed; with what it printed.
    """
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    started = time.monotonic()
    ran = subprocess.run(arm.command, capture_output=True, text=True, check=False)
    wall = time.monotonic() - started
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if ran.returncode != arm.status:
        raise RuntimeError(f"{arm.name} failed:\n{ran.stdout}\n{ran.stderr}")
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    figures = json.loads(ran.stdout.splitlines()[-1]) if arm.has_figures else {}
    return Sample(figures, wall, cpu)


def run_blocks(arms: Sequence[Arm], blocks: int) -> dict[str, list[Sample]]:
    """Samples of each arm by name, one a block; every other block runs backwards."""
    samples: dict[str, list[Sample]] = {arm.name: [] for arm in arms}
    for block in range(blocks):
        for arm in arms if block % 2 == 0 else reversed(arms):
            samples[arm.name].append(run_once(arm))
            print(f"  block {block + 1}/{blocks}: {arm.name}", flush=True)
    return samples


def ratios(
    samples: Mapping[str, Sequence[Sample]], name: str, peer: str, figure: str
) -> list[float]:
    """A figure of `name` over that of `peer`, block by block."""
    return [
        mine.figures[figure] / theirs.figures[figure]
        for mine, theirs in zip(samples[name], samples[peer], strict=True)
    ]


def spread(values: Sequence[float], digits: int = 3) -> str:
    """The median with the range: `1.021 (0.987 to 1.050)`."""
    low, middle, high = min(values), statistics.median(values), max(values)
    return f"{middle:.{digits}f} ({low:.{digits}f} to {high:.{digits}f})"


def machine() -> dict[str, Any]:
    """What was measured on."""
    return {
        "platform": platform.platform(),
        "cores": len(os.sched_getaffinity(0)),
        "load_average": os.getloadavg()[0],
    }


def as_json(samples: Mapping[str, Sequence[Sample]]) -> dict[str, Any]:
    """Everything that was measured, for a file."""
    return {
        "machine": machine(),
        "samples": {
            name: [dataclasses.asdict(sample) for sample in found]
            for name, found in samples.items()
        },
    }
