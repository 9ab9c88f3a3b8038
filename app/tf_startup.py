"""Starts TensorFlow without what it says of GPUs on a machine that has none."""

import contextlib
import os
import pathlib
import re
import sys
import tempfile
from collections.abc import Iterator

_NOISE = re.compile(
    rb"cudart_stub|cuda_platform|oneDNN custom operations|absl::InitializeLog\(\)"
)


def set_environment() -> None:
    """What TensorFlow and Keras read when they are imported, here or in a child."""
    os.environ["KERAS_BACKEND"] = "tensorflow"
    # Errors reach Python as exceptions; what C++ logs as one is oneDNN's own doubts.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    # TensorFlow turns oneDNN's convolutions on by itself on the newest processors only;
    # with AVX2 they are about twice as fast as its own.
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")


def import_tensorflow() -> None:
    """Imports TensorFlow and starts its runtime, so that the rest finds it loaded."""
    set_environment()
    with _without_noise():
        import tensorflow as tf

        tf.config.list_physical_devices()


@contextlib.contextmanager
def _without_noise() -> Iterator[None]:
    """Drops the lines of `_NOISE` from standard error, and passes on all others.

    They are written by C++ before its log levels are set. Where there is an NVIDIA
    device they may tell why it is not seen, and stay.
    """
    if pathlib.Path("/proc/driver/nvidia").exists():
        yield
        return
    sys.stderr.flush()
    terminal = os.dup(2)
    with tempfile.TemporaryFile() as said:
        os.dup2(said.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(terminal, 2)
            os.close(terminal)
            said.seek(0)
            for line in said:
                if not _NOISE.search(line):
                    os.write(2, line)
