"""The cores that this process may use, which may be fewer than the machine has."""

import os


def available_cores() -> list[int]:
    """Their numbers, in order."""
    if hasattr(os, "sched_getaffinity"):  # where the system has it
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count() or 1))
