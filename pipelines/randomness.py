"""Random numbers as a function of (seed, position, draw): there is no generator state.

Every number is exact integer arithmetic or a table look-up, never a logarithm or a
sine: TensorFlow computes those by vector code whose last bit depends on where in a
tensor a value stands, and a draw has to be the same for one example as in a batch, on
one replica as on eight.
"""

import functools
import hashlib
import statistics

import numpy as np
import tensorflow as tf

QUANTILES = 1 << 16
_GOLDEN = 0x9E3779B97F4A7C15


def uniform(seed: int, positions: tf.Tensor, draw: str, elements: int) -> tf.Tensor:
    """Uniform numbers in [0, 1): float32 [k, elements].

    Args:
        seed: of the run.
        positions: int64 [k], of the examples in the order of training.
        draw: name of what is drawn; different names give independent numbers.
        elements: numbers for each position.
    """
    bits = tf.bitwise.right_shift(
        _words(seed, positions, draw, elements), tf.constant(40, tf.uint64)
    )
    return tf.cast(tf.cast(bits, tf.int32), tf.float32) * np.float32(2**-24)


def from_quantiles(
    seed: int, positions: tf.Tensor, draw: str, elements: int, table: np.ndarray
) -> tf.Tensor:
    """Numbers of any distribution, by inverse transform: [k, elements, …].

    Args:
        seed: as for `uniform`.
        positions: as for `uniform`.
        draw: as for `uniform`.
        elements: as for `uniform`.
        table: [QUANTILES, …], the distribution's quantiles at (i + 0.5) / QUANTILES.
    """
    words = -(-elements // 4)
    parts = tf.bitcast(_words(seed, positions, draw, words), tf.uint16)
    indices = tf.reshape(parts, [-1, 4 * words])[:, :elements]
    return tf.gather(table, tf.cast(indices, tf.int32))


def normal(seed: int, positions: tf.Tensor, draw: str, elements: int) -> tf.Tensor:
    """Standard normal numbers: float32 [k, elements]; at most 4.3 in size.

    By a table of 65,536 quantiles; the mean is 0 and the variance 1 exactly.
    """
    return from_quantiles(seed, positions, draw, elements, _normal_quantiles())


def keys(seed: int, positions: tf.Tensor, draw: str) -> tf.Tensor:
    """Seeds for TensorFlow's own stateless draws: int64 [k, 2].

    Args:
        seed: as for `uniform`.
        positions: as for `uniform`.
        draw: as for `uniform`.
    """
    return tf.bitcast(_words(seed, positions, draw, 2), tf.int64)


def quantile_levels() -> np.ndarray:
    """The probabilities whose quantiles form a table: float64 [QUANTILES]."""
    return (np.arange(QUANTILES) + 0.5) / QUANTILES


@functools.cache
def _normal_quantiles() -> np.ndarray:
    inverse = statistics.NormalDist().inv_cdf
    table = np.array([inverse(level) for level in quantile_levels()])
    return (table / table.std()).astype(np.float32)


def _words(seed: int, positions: tf.Tensor, draw: str, words: int) -> tf.Tensor:
    """Random bits: uint64 [k, words].

    SplitMix64 (Steele, Lea and Flood, "Fast splittable pseudorandom number generators",
    OOPSLA 2014): a stream for each position, begun at a hash of the seed, the draw's
    name and the position.
    """
    name = hashlib.sha256(f"{seed} {draw}".encode()).digest()[:8]
    key = tf.constant(int.from_bytes(name, "little"), tf.uint64)
    golden = tf.constant(_GOLDEN, tf.uint64)
    starts = _mix(key + golden * _mix(tf.cast(positions, tf.uint64) + golden))
    counts = np.arange(1, words + 1, dtype=np.uint64) * np.uint64(_GOLDEN)
    return _mix(starts[:, None] + tf.constant(counts)[None])


def _mix(word: tf.Tensor) -> tf.Tensor:
    """SplitMix64's finalizer, a permutation of uint64 (Stafford's variant 13)."""
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        word = _xor_shift(word, shift) * tf.constant(factor, tf.uint64)
    return _xor_shift(word, 31)


def _xor_shift(word: tf.Tensor, shift: int) -> tf.Tensor:
    shifted = tf.bitwise.right_shift(word, tf.constant(shift, tf.uint64))
    return tf.bitwise.bitwise_xor(word, shifted)
