"""Makes every draw of Keras' layers a function of (seed, step, replica, layer).

Keras keeps a counter in each SeedGenerator, saves it nowhere, and gives layers without
a seed one that belongs to no model. Here a draw inside `keyed_draws` asks the step
instead, so there is nothing to save: layers of Keras', of Atelier's and of a user's own
are covered alike, since all of them draw through `SeedGenerator.next`.
"""

import contextlib
import dataclasses
import hashlib
import threading
from collections.abc import Iterator

import keras
import tensorflow as tf

from base.errors import UserError

# Draws that keep a state inside TensorFlow, which no checkpoint can hold.
STATEFUL_DRAWS = frozenset(
    {
        "FixedUnigramCandidateSampler",
        "LearnedUnigramCandidateSampler",
        "LogUniformCandidateSampler",
        "Multinomial",
        "ParameterizedTruncatedNormal",
        "RandomCrop",
        "RandomGamma",
        "RandomPoisson",
        "RandomPoissonV2",
        "RandomShuffle",
        "RandomStandardNormal",
        "RandomUniform",
        "RandomUniformInt",
        "SampleDistortedBoundingBox",
        "SampleDistortedBoundingBoxV2",
        "StatefulRandomBinomial",
        "StatefulStandardNormal",
        "StatefulStandardNormalV2",
        "StatefulTruncatedNormal",
        "StatefulUniform",
        "StatefulUniformFullInt",
        "StatefulUniformInt",
        "ThreadUnsafeUnigramCandidateSampler",
        "TruncatedNormal",
        "UniformCandidateSampler",
    }
)


@dataclasses.dataclass
class _Keys:
    """What the draws of one step are keyed by; `drawn` numbers them in call order."""

    seed: int
    step: tf.Tensor
    replica: tf.Tensor | int
    drawn: int = 0

    def next(self) -> tf.Tensor:
        """The key of the next draw: int64 [2]."""
        layer = _hash31(f"{self.seed}/{self.drawn}")
        self.drawn += 1
        moment = self.step * 8191 + tf.cast(self.replica, tf.int64)
        return tf.stack([tf.constant(layer, tf.int64), moment])


class _Active(threading.local):
    """The keys in force: one a thread, since each replica is traced in its own."""

    keys: _Keys | None = None


_active = _Active()
_keras_next = keras.random.SeedGenerator.next
_asking = threading.Lock()
_askers = 0


def _next_key(generator: keras.random.SeedGenerator, ordered: bool = True) -> tf.Tensor:
    if _active.keys is None:
        return _keras_next(generator, ordered)
    return _active.keys.next()


@contextlib.contextmanager
def _steps_asked() -> Iterator[None]:
    """Within it, in any thread, Keras' generators ask the step where there is one."""
    global _askers
    with _asking:
        _askers += 1
        keras.random.SeedGenerator.next = _next_key
    try:
        yield
    finally:
        with _asking:
            _askers -= 1
            if not _askers:
                keras.random.SeedGenerator.next = _keras_next


@contextlib.contextmanager
def keyed_draws(
    seed: int, step: tf.Tensor, replica: tf.Tensor | int = 0
) -> Iterator[None]:
    """Within it the n-th draw's key is a function of (seed, n, step, replica).

    A layer draws in the order of the model's call, so n stands for the layer.
    """
    with _steps_asked(), _active_keys(_Keys(seed, tf.cast(step, tf.int64), replica)):
        yield


def is_keyed() -> bool:
    """Whether draws are keyed now: within a training step."""
    return _active.keys is not None


def current() -> _Keys:
    """What the next draw would be keyed by, for `keyed_as`."""
    assert _active.keys is not None  # callers look at is_keyed first
    return dataclasses.replace(_active.keys)


@contextlib.contextmanager
def keyed_as(keys: _Keys) -> Iterator[None]:
    """Within it draws are those that followed `current()`, once more."""
    with _steps_asked(), _active_keys(dataclasses.replace(keys)):
        yield


@contextlib.contextmanager
def _active_keys(keys: _Keys) -> Iterator[None]:
    outer, _active.keys = _active.keys, keys
    try:
        yield
    finally:
        _active.keys = outer


def refuse_stateful_draws(graph: tf.Graph) -> None:
    """Checks a traced training step.

    Raises:
      UserError: an operation in it draws from a state that cannot be checkpointed.
    """
    definition = graph.as_graph_def()
    nodes = [*definition.node]
    for function in definition.library.function:
        nodes.extend(function.node_def)
    for node in nodes:
        if node.op in STATEFUL_DRAWS:
            raise UserError(
                f"the model draws by {node.op} in {node.name}, whose state cannot be"
                " saved: expected keras.random with a keras.random.SeedGenerator, so"
                " that a resumed run draws the same"
            )


def _hash31(text: str) -> int:
    """A number below 2**31 - 2 that depends on every character."""
    digest = hashlib.sha256(text.encode()).digest()
    return int.from_bytes(digest[:8], "big") % (2**31 - 2)
