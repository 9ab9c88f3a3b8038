"""Hands every replica its share of each global batch."""

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from app.distribution.cluster import Cluster

# Given a worker's number and the count of workers, batches for one replica each, in
# turn, of that worker's share of every global batch.
MakeShare = Callable[[int, int], tf.data.Dataset]


def distributed(
    strategy: tf.distribute.Strategy, cluster: Cluster, make: MakeShare
) -> Any:
    """An iterable whose elements `strategy.run` divides among this worker's replicas.

    Each worker reads its own share. TensorFlow's own distribution of a dataset would
    ask all workers before each batch whether one has run out, which none does alone.
    """
    workers = max(1, len(cluster.workers))
    if strategy.num_replicas_in_sync == workers:
        return make(cluster.index, workers)
    return strategy.distribute_datasets_from_function(
        lambda _: make(cluster.index, workers)
    )


def replica_id() -> tf.Tensor | int:
    """The number of the replica that runs a step, among those of all workers."""
    context = tf.distribute.get_replica_context()
    return context.replica_id_in_sync_group if context.num_replicas_in_sync > 1 else 0
