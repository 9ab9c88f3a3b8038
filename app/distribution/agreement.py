"""What workers must agree on though each has its own clock and its own signals.

A collective operation that one worker enters and another does not waits for ever, so
the length of a segment and a pause are settled by all before they act on them.
"""

import tensorflow as tf

from app.distribution import process_exit
from app.distribution.cluster import Cluster
from app.distribution.peers import PEER_ERRORS


class Agreement:
    """Numbers that every worker gets to know of every other.

    Args:
      strategy: of all workers.
      cluster: the workers; alone, a process agrees with itself at no cost.
    """

    def __init__(self, strategy: tf.distribute.Strategy, cluster: Cluster) -> None:
        self._strategy = strategy
        self._cluster = cluster
        # Each of a worker's devices adds the same numbers.
        workers = max(1, len(cluster.workers))
        self._devices = strategy.num_replicas_in_sync // workers
        self._sum = tf.function(self._sum_over_workers)

    def all_of(self, value: int) -> list[int]:
        """What each worker said: its `value`, by the workers' numbers."""
        count = len(self._cluster.workers)
        if not count:
            return [value]
        mine = [value if i == self._cluster.index else 0 for i in range(count)]
        total = self._sum(tf.constant(mine, tf.int64))
        return [int(said) // self._devices for said in total.numpy()]

    def part(self) -> None:
        """Returns once all workers have come here: from then on none is missed.

        The first to know that all came may be gone before another has heard of it, so
        each asks once more and takes no answer for one. TensorFlow would then wait for
        who has left, so the process ends without taking it down.
        """
        self.all_of(0)
        try:
            self.all_of(0)
        except PEER_ERRORS:
            process_exit.take_nothing_down()

    def _sum_over_workers(self, values: tf.Tensor) -> tf.Tensor:
        @tf.autograph.experimental.do_not_convert
        def add(values: tf.Tensor) -> tf.Tensor:
            # A function's argument has no device; what is computed from it here does.
            context = tf.distribute.get_replica_context()
            return context.all_reduce("SUM", tf.identity(values))

        totals = self._strategy.run(add, args=(values,))
        return self._strategy.experimental_local_results(totals)[0]
