"""Makes the tf.distribute strategy that the flags ask for."""

import tensorflow as tf

from app.distribution.config import DistributionConfig
from app.errors import UserError


def make_strategy(config: DistributionConfig) -> tf.distribute.Strategy:
    """The strategy; call it before any tensor is made.

    Raises:
      UserError: the devices that were asked for are not there.
    """
    _split_cpu(config.logical_cpus)
    gpus = tf.config.list_logical_devices("GPU")
    cpus = tf.config.list_logical_devices("CPU")
    devices = [d.name for d in (gpus if gpus and config.logical_cpus == 1 else cpus)]
    if config.strategy == "mirrored" and len(devices) < 2:
        raise UserError(
            f"--strategy=mirrored found {len(devices)} device ({devices[0]}): expected"
            " two or more; add --logical_cpus=2 to try it on the CPU"
        )
    if config.strategy == "one_device" or len(devices) < 2:
        return tf.distribute.get_strategy()
    return tf.distribute.MirroredStrategy(devices)


def require_divisible(batch_size: int, strategy: tf.distribute.Strategy) -> None:
    """Checks that each replica gets the same share of a batch.

    Raises:
      UserError: it does not.
    """
    replicas = strategy.num_replicas_in_sync
    if batch_size % replicas:
        raise UserError(
            f"--batch_size={batch_size} on {replicas} replicas: expected a multiple of"
            f" {replicas}"
        )


def _split_cpu(count: int) -> None:
    """Makes `count` logical devices of the CPU.

    Raises:
      UserError: TensorFlow was started with another number of them.
    """
    if count == 1:
        return
    (cpu,) = tf.config.list_physical_devices("CPU")
    try:
        tf.config.set_logical_device_configuration(
            cpu, [tf.config.LogicalDeviceConfiguration()] * count
        )
    except RuntimeError:
        found = len(tf.config.list_logical_devices("CPU"))
        if found != count:
            raise UserError(
                f"--logical_cpus={count}: TensorFlow was started with {found} logical"
                " CPUs in this process; start another process"
            ) from None
