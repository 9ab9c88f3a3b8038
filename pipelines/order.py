"""Which examples form the batch of a step: a pure function, without any state."""

import dataclasses

import numpy as np
import tensorflow as tf

# Of the cipher under tf.random.experimental.index_shuffle, as TensorFlow calls it: the
# public function takes one seed [2] for all indices, and pads a batch of seeds [k, 2]
# along the wrong axis. A batch that straddles two epochs needs a seed for each index.
_ROUNDS = 4
_SEED_PADDING = 498247692


@dataclasses.dataclass(frozen=True)
class Order:
    """The order of the examples of all epochs, as a function of the step.

    Position `p = step * batch_size + j` belongs to epoch `p // examples` and holds the
    example `index_shuffle(p % examples)` under (seed, epoch): each epoch is a
    permutation, a batch may straddle two epochs, and no state has to be saved. The
    shuffle is a format-preserving cipher over the indices: see
    `tf.random.experimental.index_shuffle`.

    Attributes:
        examples: that there are, each of which an epoch holds once.
        batch_size: of the global batch.
        seed: any integer; `index_shuffle` uses its lowest 32 bits.
        balance: how positions are dealt to classes instead; see `Balance`.
    """

    examples: int
    batch_size: int
    seed: int = 0
    balance: "Balance | None" = None

    def __post_init__(self) -> None:
        if self.examples < 1 or self.batch_size < 1:
            raise ValueError(f"expected at least one example and batch size 1: {self}")

    @property
    def epoch_size(self) -> int:
        """Positions in an epoch."""
        return self.balance.epoch_size if self.balance else self.examples

    @property
    def steps_per_epoch(self) -> float:
        """Steps in an epoch; not a whole number where a batch straddles two."""
        return self.epoch_size / self.batch_size

    def positions_of(
        self,
        step: tf.Tensor | int,
        first: tf.Tensor | int = 0,
        count: int | None = None,
    ) -> tf.Tensor:
        """Positions of the global batch of `step`: int64 [batch_size].

        With `first` and `count`, of the slice [first, first + count) of it: [count].
        """
        start = tf.cast(step, tf.int64) * self.batch_size + tf.cast(first, tf.int64)
        return start + tf.range(
            self.batch_size if count is None else count, dtype=tf.int64
        )

    def epoch_of(self, positions: tf.Tensor) -> tf.Tensor:
        """Epochs, from 0, that `positions` belong to: int64, of the same shape."""
        return tf.cast(positions, tf.int64) // self.epoch_size

    def examples_at(self, positions: tf.Tensor) -> tf.Tensor:
        """Examples at `positions` (int64 [k]): int64 [k], from 0 to examples - 1."""
        if self.balance:
            return self.balance.examples_at(positions, self.seed)
        epochs = self.epoch_of(positions)
        return _shuffled(
            positions - epochs * self.examples,
            tf.constant(self.examples, tf.int64),
            (_SEED_PADDING, self.seed, epochs),
        )

    def examples_of(
        self,
        step: tf.Tensor | int,
        first: tf.Tensor | int = 0,
        count: int | None = None,
    ) -> tf.Tensor:
        """Examples in the global batch of `step`, or its slice: int64 [batch_size]."""
        return self.examples_at(self.positions_of(step, first, count))


class Balance:
    """Deals positions so that the classes come equally often: `--balance=oversample`.

    Positions are dealt in blocks of one for each class, in an order that is shuffled in
    every block. An epoch has as many blocks as the largest class has examples, so that
    it holds each of them once. Of a smaller class it holds as many: its examples round
    after round, each round a permutation of its own. So each example of a class of `k`
    is there `floor(largest / k)` times, or once more.
    """

    def __init__(self, labels: np.ndarray) -> None:
        """Takes the class of each example, int64 [examples]; some may have none."""
        _, sizes = np.unique(labels, return_counts=True)
        self._classes = len(sizes)
        self._largest = int(sizes.max())
        # Eager tensors: a graph captures them by reference and embeds no copy.
        self._sizes = tf.constant(sizes, tf.int64)
        self._starts = tf.constant(np.cumsum(sizes) - sizes, tf.int64)
        self._by_class = tf.constant(np.argsort(labels, kind="stable"), tf.int64)

    @property
    def epoch_size(self) -> int:
        """Positions in an epoch: as many of every class as the largest has."""
        return self._largest * self._classes

    def examples_at(self, positions: tf.Tensor, seed: int) -> tf.Tensor:
        """Examples at `positions` (int64 [k]): int64 [k]."""
        block = positions // self._classes
        dealt = _shuffled(
            positions % self._classes,
            tf.constant(self._classes, tf.int64),
            (_SEED_PADDING + 1, seed, block),
        )
        size = tf.gather(self._sizes, dealt)
        epoch, drawn = block // self._largest, block % self._largest
        rounds = (self._largest + size - 1) // size
        rank = _shuffled(
            drawn % size,
            size,
            (_SEED_PADDING + 2 + dealt, seed, epoch * rounds + drawn // size),
        )
        return tf.gather(self._by_class, tf.gather(self._starts, dealt) + rank)


def _shuffled(
    indices: tf.Tensor, count: tf.Tensor, seed: tuple[tf.Tensor | int, ...]
) -> tf.Tensor:
    """Where a shuffle of `count` things puts `indices`: int64 [k].

    Args:
        indices: int64 [k], below `count`.
        count: int64, [] or [k].
        seed: three numbers, int64, [] or [k]; the shuffle uses their lowest 32 bits.
    """
    shape = tf.shape(indices)
    parts = [tf.broadcast_to(tf.cast(part, tf.int64), shape) for part in seed]
    return tf.raw_ops.RandomIndexShuffle(
        index=indices,
        seed=tf.stack(parts, axis=-1),
        max_index=count - 1,
        rounds=_ROUNDS,
    )
