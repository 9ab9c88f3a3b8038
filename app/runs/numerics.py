"""What a process fixes before it builds a model: threads, precision, seeds."""

import keras
import tensorflow as tf

from app.configs.commands import TrainConfig
from base.errors import UserError
from models.layers import bias_gradient


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
    this process before.
    """
    keras.utils.clear_session()
    bias_gradient.correct()
    keras.config.set_dtype_policy(config.training.precision)
    keras.utils.set_random_seed(config.training.seed)
    tf.config.run_functions_eagerly(config.training.eager)
    if tf.config.list_physical_devices("GPU"):
        tf.config.experimental.enable_op_determinism()
