"""What is minimised: a loss of each example, so that padding can weigh nothing."""

from collections.abc import Callable

import tensorflow as tf

from base import own_parts
from base.errors import UserError

# From labels and a model's outputs to the loss of each example, float32 [B].
PerExampleLoss = Callable[[tf.Tensor, tf.Tensor], tf.Tensor]

_SIGNATURE = "(labels, outputs) -> [B], the loss of each example"


def own_loss(reference: str) -> PerExampleLoss:
    """The user's function that `--loss=package.module:function` names.

    Raises:
        UserError: There is none, or it takes other arguments.
    """
    function = own_parts.load_callable("loss", reference)
    own_parts.require_takes("loss", reference, function, _SIGNATURE)

    def loss(labels: tf.Tensor, outputs: tf.Tensor) -> tf.Tensor:
        losses = tf.convert_to_tensor(function(labels, outputs))
        require_per_example(f"--loss={reference}", losses, outputs)
        return tf.cast(losses, tf.float32)

    return loss


def require_per_example(asked: str, values: tf.Tensor, outputs: tf.Tensor) -> None:
    """Refuses what is not one number for each example.

    Args:
        asked: The flag that named the function, for the message.
        values: What it gave.
        outputs: Of the model, [B, …].

    Raises:
        UserError: The shape or the type is another.
    """
    batch = outputs.shape[:1]
    if not values.shape.is_compatible_with(batch):
        gave = "a single number" if values.shape.rank == 0 else f"shape {values.shape}"
        raise UserError(
            f"{asked} gave {gave} for {batch[0]} examples: expected one number for "
            f"each, shape ({batch[0]},); Atelier takes the mean, over the examples "
            "alone and not the padding"
        )
    if not (
        values.dtype.is_floating or values.dtype.is_integer or values.dtype.is_bool
    ):
        raise UserError(f"{asked} gave {values.dtype.name}: expected numbers")
