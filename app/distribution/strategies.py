"""Makes the tf.distribute strategy that the flags ask for."""

import os
from collections.abc import Sequence

import keras
import tensorflow as tf

from app.configs.distribution import DistributionConfig
from app.distribution import peers, servers
from app.distribution.cluster import ALONE, Cluster
from base.errors import UserError
from models import keras_internals


def make_strategy(
    config: DistributionConfig, cluster: Cluster = ALONE
) -> tf.distribute.Strategy:
    """The strategy; call it before any tensor is made.

    Args:
      config: the flags.
      cluster: the workers, this process among them; by default it is alone.

    Raises:
      UserError: the devices or workers that were asked for are not there.
      Interrupted: a worker did not come in time.
    """
    require_fit(config, cluster)
    if config.strategy == "one_device" and config.logical_cpus > 1:
        raise UserError(
            f"--strategy=one_device with --logical_cpus={config.logical_cpus}: expected"
            " one device; drop one of the two, or name the devices in --model_args"
        )
    _split_cpu(config.logical_cpus)
    if cluster.servers:
        return servers.connect(cluster, config.peer_timeout)
    if cluster.workers:
        return peers.connect(cluster, config.peer_timeout)
    if config.strategy == "auto" and config.logical_cpus == 1 and _has_tpu():
        return _on_tpu()
    gpus = tf.config.list_logical_devices("GPU")
    cpus = tf.config.list_logical_devices("CPU")[: config.logical_cpus]
    devices = [d.name for d in (gpus if gpus and config.logical_cpus == 1 else cpus)]
    if config.strategy == "mirrored" and len(devices) < 2:
        raise UserError(
            f"--strategy=mirrored found {len(devices)} device ({devices[0]}): expected"
            " two or more; add --logical_cpus=2 to try it on the CPU"
        )
    if config.strategy == "one_device" or len(devices) < 2:
        return tf.distribute.get_strategy()
    return tf.distribute.MirroredStrategy(devices)


def _has_tpu() -> bool:
    """Whether there is a TPU: named by the cloud's variable, or in this machine."""
    return bool(os.environ.get("TPU_NAME") or tf.config.list_physical_devices("TPU"))


def _on_tpu() -> tf.distribute.Strategy:
    """The strategy on all cores of the TPU.

    Raises:
      UserError: it does not answer.
    """
    name = os.environ.get("TPU_NAME", "")
    try:
        resolver = tf.distribute.cluster_resolver.TPUClusterResolver.connect(name)
    except (tf.errors.OpError, ValueError, OSError) as error:
        raise UserError(
            f"TPU_NAME={name}: the TPU cannot be used ({error}): expected one that"
            " answers; or train without it by --strategy=one_device"
        ) from error
    return tf.distribute.TPUStrategy(resolver)


def place_on(
    devices: Sequence[str], config: DistributionConfig, cluster: Cluster = ALONE
) -> tf.distribute.Strategy:
    """The strategy for a model whose layers are divided among `devices`.

    Raises:
      UserError: the devices are not there, or the flags ask for replicas too.
    """
    named = f"--model_args=devices={'+'.join(devices)}"
    wanted = config.strategy
    if cluster.workers or wanted not in ("auto", "one_device"):
        wanted = "several workers" if cluster.workers else f"--strategy={wanted}"
        raise UserError(
            f"{named} with {wanted}: expected one process and --strategy=one_device,"
            " in which one copy of the model is divided among the devices"
        )
    for flag in ("recompute", "sync_batch_norm"):
        if getattr(config, flag):
            raise UserError(
                f"{named} with --{flag}: expected one of the two; drop one of them"
            )
    _split_cpu(config.logical_cpus)
    found = [
        device.name.removeprefix("/device:").lower()
        for device in tf.config.list_logical_devices()
    ]
    missing = [device for device in devices if device not in found]
    if missing:
        raise UserError(
            f"{named}: there is no {missing[0]} here, only {', '.join(sorted(found))};"
            " name these, or try it on the CPU by --logical_cpus=2 and cpu:0+cpu:1"
        )
    return tf.distribute.get_strategy()


def require_divisible(
    batch_size: int,
    config: DistributionConfig,
    strategy: tf.distribute.Strategy,
    in_pairs: bool = False,
) -> None:
    """Checks that each part of each replica's share of a batch has the same size.

    Args:
      batch_size: of the global batch.
      config: the flags.
      strategy: the replicas.
      in_pairs: mixup needs both examples of a pair in one part.

    Raises:
      UserError: the batch cannot be divided so.
    """
    replicas, parts = strategy.num_replicas_in_sync, config.accumulate
    divisor = replicas * parts * (2 if in_pairs else 1)
    if batch_size % divisor:
        among = f"{replicas} replicas" if replicas > 1 else "1 replica"
        if parts > 1:
            among += f" in --accumulate={parts} parts"
        if in_pairs:
            among += " with mixup, which pairs examples"
        raise UserError(
            f"--batch_size={batch_size} on {among}: expected a multiple of {divisor}"
        )


def synchronize_batch_norm(model: keras.Model) -> None:
    """Makes batch normalization use the statistics of the global batch."""
    for layer in keras_internals.all_layers(model):
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.synchronized = True


def require_fit(config: DistributionConfig, cluster: Cluster) -> None:
    """Checks the strategy against the tasks that the environment names.

    Raises:
      UserError: it asks for tasks that are not there, or leaves some aside.
    """
    if config.strategy == "multi_worker" and not cluster.workers:
        raise UserError(
            "--strategy=multi_worker found one worker: expected TF_CONFIG or srun to"
            " name several; `atelier launch --workers=2 -- train …` starts them here"
        )
    if config.strategy == "parameter_server" and not cluster.servers:
        raise UserError(
            "--strategy=parameter_server found no parameter server: expected TF_CONFIG"
            " or srun to name them; `atelier launch --workers=2 --parameter_servers=1"
            " -- train …` starts them here"
        )
    if not cluster.workers:
        return
    fitting = "parameter_server" if cluster.servers else "multi_worker"
    if config.strategy not in ("auto", fitting):
        raise UserError(
            f"--strategy={config.strategy} as one of {len(cluster.workers)} workers"
            f" (TF_CONFIG or srun names them): expected {fitting}, or one process"
        )
    if cluster.servers and config.sync_batch_norm:
        raise UserError(
            "--sync_batch_norm with parameter servers: each step is one worker's, so"
            " there is nothing to synchronize; drop it"
        )
    if config.logical_cpus > 1:
        raise UserError(
            f"--logical_cpus={config.logical_cpus} with several workers: expected 1;"
            " start more workers instead"
        )
    if not cluster.is_local and not config.trusted_network:
        raise UserError(
            f"the tasks {', '.join(cluster.addresses)} are reached over a network:"
            " TensorFlow's server lets whoever reaches its port run code; give"
            " --trusted_network if that is nobody else"
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
