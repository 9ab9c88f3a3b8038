"""Random changes of the user's own: `--augment=flip,mine:blur`.

A function of images, float32 [B,H,W,C] from 0 to 255, and keys, int64 [B,2]: one for
each image, which depends on the seed, the example's place in the order of training and
the function's name alone. Draws by it are the same after a resume, and on any replica.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from base import own_parts
from base.errors import UserError
from pipelines import randomness

_SIGNATURE = "(images, keys) -> images"
# Images that a function is tried on: together, and in two halves.
_TRIED = 4
# By which values may differ between a batch and its halves: the last bits alone.
_TOLERANCE = 1e-2
# Operations with a state that changes no values.
_HARMLESS = frozenset({"Assert", "Print", "PrintV2"})


def apply(
    references: Sequence[str], images: tf.Tensor, positions: tf.Tensor, seed: int
) -> tf.Tensor:
    """Images after the functions, one after the other: float32 [B,H,W,C].

    Args:
        references: `package.module:name` of each.
        images: [B,H,W,C] from 0 to 255, uint8 or float32.
        positions: int64 [B].
        seed: of the run.
    """
    for reference in references:
        function = own_parts.load_callable("augment", reference)
        keys = randomness.keys(seed, positions, f"own {reference}")
        images = _changed(reference, function, tf.cast(images, tf.float32), keys)
    return images


def check(references: Sequence[str], shape: Sequence[int]) -> None:
    """Tries each function on a few images.

    Args:
        references: `package.module:name` of each.
        shape: of an image: height, width, channels.

    Raises:
        UserError: one gives something else than images, has a state, or makes of an
            image what depends on the others of its batch.
        Exception: whatever the user's code raises.
    """
    if not references:
        return
    images = np.random.default_rng(0).integers(0, 256, (_TRIED, *shape))
    positions = tf.range(_TRIED, dtype=tf.int64)
    for reference in references:
        function = own_parts.load_callable("augment", reference)
        own_parts.require_takes("augment", reference, function, _SIGNATURE)
        keys = randomness.keys(0, positions, f"own {reference}")
        _try(reference, function, tf.constant(images, tf.float32), keys)


def _try(
    reference: str, function: Callable[..., Any], images: tf.Tensor, keys: tf.Tensor
) -> None:
    def change(images: tf.Tensor, keys: tf.Tensor) -> tf.Tensor:
        return _changed(reference, function, images, keys)

    graph_code = tf.function(change, autograph=False)
    _require_no_state(reference, graph_code.get_concrete_function(images, keys).graph)
    half = _TRIED // 2
    halves = [
        graph_code(images[at : at + half], keys[at : at + half]) for at in (0, half)
    ]
    found = np.abs(graph_code(images, keys) - tf.concat(halves, 0))
    if not (found <= _TOLERANCE).all():  # NaN too
        raise UserError(
            f"--augment={reference} makes of an image what depends on the others of its"
            " batch, so that replicas would not agree: expected draws for images[i] by"
            " keys[i] alone, such as by tf.map_fn, and values that are finite"
        )


def _changed(
    reference: str, function: Callable[..., Any], images: tf.Tensor, keys: tf.Tensor
) -> tf.Tensor:
    """What the function makes of images, float32.

    Raises:
        UserError: these are no images of the same shape.
    """
    found = function(images, keys)
    if not tf.is_tensor(found):
        gave = f"a {type(found).__name__}"
    elif not (found.dtype.is_floating or found.dtype == tf.uint8):
        gave = found.dtype.name
    elif not found.shape.is_compatible_with(images.shape):
        gave = f"shape {found.shape}"
    else:
        return tf.ensure_shape(tf.cast(found, tf.float32), images.shape)
    raise UserError(
        f"--augment={reference} gave {gave} for images float32 {images.shape}: expected"
        " images of the same shape, float32 or uint8, from 0 to 255"
    )


def _require_no_state(reference: str, graph: tf.Graph) -> None:
    for operation in graph.get_operations():
        if operation.op_def.is_stateful and operation.type not in _HARMLESS:
            raise UserError(
                f"--augment={reference} uses {operation.type} ({operation.name}), which"
                " has a state or runs Python, so that a resumed run would not be the"
                " same: expected TensorFlow's operations without one, and draws by"
                " tf.random.stateless_… with seed=keys[i]"
            )
