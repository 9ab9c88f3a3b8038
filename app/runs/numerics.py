"""What a process fixes before it builds a model: threads, precision, seeds.

All but the threads can be put back: `set_numerics` within `contained`.
"""

import contextlib
import random
import threading
from collections.abc import Iterator

import keras
import numpy as np
import tensorflow as tf

from app.configs.commands import TrainConfig
from app.distribution import tf_internals
from base.errors import UserError
from models import keras_internals
from models.layers import bias_gradient

_process = threading.RLock()


def set_threads(config: TrainConfig) -> None:
    """Fixes the threads of an operation; call it before TensorFlow's first one.

    With another number a sum is split otherwise, and so rounded otherwise.

    Raises:
      UserError: TensorFlow was started with another number of them.
    """
    wanted = config.training.threads
    if wanted is None or tf.config.threading.get_intra_op_parallelism_threads() == (
        wanted
    ):
        return
    try:
        tf.config.threading.set_intra_op_parallelism_threads(wanted)
    except RuntimeError:
        raise UserError(
            f"--threads={wanted}: TensorFlow was started with another number of threads"
            " in this process; start another process"
        ) from None


def set_numerics(config: TrainConfig) -> None:
    """Fixes precision and the initial weights' seed; call it before building.

    Gradients of biases are put right where TensorFlow's are wrong. Keras' counters of
    names start afresh, so that the same model has the same names whatever was built in
    this process before. Outside of `contained` all that stays for good.
    """
    keras.utils.clear_session()
    bias_gradient.correct()
    keras.config.set_dtype_policy(config.training.precision)
    keras.utils.set_random_seed(config.training.seed)
    tf.config.run_functions_eagerly(config.training.eager)
    if tf.config.list_physical_devices("GPU"):
        tf.config.experimental.enable_op_determinism()


@contextlib.contextmanager
def contained() -> Iterator[None]:
    """Within it `set_numerics` changes the process, which afterwards is as it was.

    Put back are the precision, the seeds and counters of Keras, Python's, NumPy's and
    TensorFlow's random states, the gradient of biases, eager mode and determinism. It
    may be entered again within itself, by the same thread.

    Raises:
      UserError: another thread of this process is within: what is the process's cannot
        be two things at once.
    """
    if not _process.acquire(blocking=False):
        raise UserError(
            "another thread of this process is at work on a run, and precision and"
            " seeds are the process's: wait for it, or use another process"
        )
    try:
        with (
            bias_gradient.contained(),
            _random_states(),
            keras_internals.state_kept(),
            tf_internals.state_kept(),
        ):
            yield
    finally:
        _process.release()


@contextlib.contextmanager
def _random_states() -> Iterator[None]:
    python, numpy = random.getstate(), np.random.get_state()  # noqa: NPY002
    try:
        yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy)  # noqa: NPY002
