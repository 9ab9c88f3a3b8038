"""How much memory is free for cached data."""

import os
from pathlib import Path

_CACHE_FRACTION = 1 / 4
_CACHE_LIMIT = 2_000_000_000


def fits_in_memory(size: int) -> bool:
    """Whether `size` bytes of data should be cached without being asked for."""
    return size <= min(_CACHE_LIMIT, _CACHE_FRACTION * available_memory())


def available_memory() -> int:
    """Bytes that this process may still take, within its control group's limit."""
    return min(_available_on_host(), _available_in_group())


def _available_on_host() -> int:
    try:
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass  # not Linux
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2


def _available_in_group() -> int:
    """What a scheduler's or container's limit leaves (control groups, version 2)."""
    try:
        path = Path("/proc/self/cgroup").read_text().rpartition("::/")[2].strip()
        group = Path("/sys/fs/cgroup") / path
        limit = (group / "memory.max").read_text().strip()
        if limit != "max":
            return int(limit) - int((group / "memory.current").read_text())
    except (OSError, ValueError):
        pass  # no such limit
    return 1 << 62
