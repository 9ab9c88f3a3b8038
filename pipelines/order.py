"""Which examples form the batch of a step: a pure function, without any state."""

import dataclasses

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
        examples: in an epoch.
        batch_size: of the global batch.
        seed: any integer; `index_shuffle` uses its lowest 32 bits.
    """

    examples: int
    batch_size: int
    seed: int = 0

    def __post_init__(self) -> None:
        if self.examples < 1 or self.batch_size < 1:
            raise ValueError(f"expected at least one example and batch size 1: {self}")

    @property
    def steps_per_epoch(self) -> float:
        """Steps in an epoch; not a whole number where a batch straddles two."""
        return self.examples / self.batch_size

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
        return tf.cast(positions, tf.int64) // self.examples

    def examples_at(self, positions: tf.Tensor) -> tf.Tensor:
        """Examples at `positions` (int64 [k]): int64 [k], from 0 to examples - 1."""
        epochs = self.epoch_of(positions)
        padding, seed = (
            tf.fill(tf.shape(epochs), tf.constant(number, tf.int64))
            for number in (_SEED_PADDING, self.seed)
        )
        return tf.raw_ops.RandomIndexShuffle(
            index=positions - epochs * self.examples,
            seed=tf.stack([padding, seed, epochs], axis=-1),
            max_index=tf.constant(self.examples - 1, tf.int64),
            rounds=_ROUNDS,
        )

    def examples_of(
        self,
        step: tf.Tensor | int,
        first: tf.Tensor | int = 0,
        count: int | None = None,
    ) -> tf.Tensor:
        """Examples in the global batch of `step`, or its slice: int64 [batch_size]."""
        return self.examples_at(self.positions_of(step, first, count))
