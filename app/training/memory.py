"""The most memory that was in use so far, by this process and on its GPUs."""

import pathlib
import resource
import sys


def peaks() -> dict[str, int]:
    """`peak_memory_bytes` of the process; with a GPU `peak_gpu_memory_bytes` too.

    The first is the resident set's high-water mark; of several GPUs the fullest counts.
    """
    import tensorflow as tf

    found = {"peak_memory_bytes": _resident()}
    gpus = tf.config.list_logical_devices("GPU")
    if gpus:
        found["peak_gpu_memory_bytes"] = max(
            tf.config.experimental.get_memory_info(gpu.name)["peak"] for gpu in gpus
        )
    return found


def _resident() -> int:
    # getrusage also counts what the program that started this one had in memory.
    status = pathlib.Path("/proc/self/status")
    if status.exists():
        for line in status.read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
