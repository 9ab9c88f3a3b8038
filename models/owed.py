"""What a model owes, checked when it is built: on a batch of random examples.

Everything that would end in a long traceback in the middle of the first step, or train
without a word and learn nothing, is one line here. Read `check_model`.
"""

import math
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import keras
import numpy as np
import tensorflow as tf

from base.errors import UserError
from models.inputs import random_inputs
from models.losses import PerExampleLoss, require_per_example
from models.metrics import Metrics
from models.spec import Inputs, Outputs

if TYPE_CHECKING:
    from models.tasks.base import Task

# Examples of the batch that is tried.
_BATCH = 8
# Operations that look at a tensor's shape alone.
_OF_SHAPES = ("Shape", "ShapeN", "Size", "Rank", "ZerosLike", "OnesLike")
# Operations after the last one that computes something.
_PASSED_ON = ("Identity", "Cast", "Reshape", "Squeeze")
_PROBABILITIES = {"Softmax": "a softmax", "Sigmoid": "a sigmoid"}
_SUM_TOLERANCE = 1e-3

Tell = Callable[[str], None]


def check_model(
    asked: str,
    model: keras.Model,
    inputs: Inputs,
    task: "Task",
    *,
    own_loss: bool,
    tell: Tell,
) -> None:
    """Tries a model of the user's own on a batch.

    Args:
        asked: The flag that named it, for messages.
        model: Built.
        inputs: What it receives.
        task: Whose outputs it owes.
        own_loss: Whether the loss is the user's own, and may take anything.
        tell: Told what the user should know, and is no mistake.

    Raises:
        UserError: It does not give what it owes.
    """
    if getattr(model, "compiled", False):
        tell(
            f"{asked} is compiled: its own loss, optimizer and metrics are not used, "
            "but those of --loss, --optimizer and --metrics"
        )
    examples = random_inputs(inputs, _BATCH)
    forward, given = _traced(asked, model, examples)
    made = forward.structured_outputs
    _require_tensor(asked, made, task.outputs)
    used = _reached(made, given)
    if not used:
        raise UserError(
            f"{asked}: its outputs do not depend on the input, so it would answer the "
            "same whatever it is shown: expected outputs computed from it"
        )
    for name, tensor in _named(given):
        if name and not any(tensor is one for one in used):
            tell(f"{asked} does not use the {name} columns of the table")
    values = forward(examples).numpy() if _is_here(model) else None
    if values is not None:
        _require_finite(asked, values, tell)
    if task.owes_logits:
        _check_logits(asked, made, values, task, own_loss, tell)


def check_measures(
    loss: PerExampleLoss, metrics: Metrics, outputs: Outputs, labels: tf.TensorSpec
) -> None:
    """Tries a loss and the metrics of the user's own on random outputs, as graph code.

    Args:
        loss: Of each example.
        metrics: With the user's own.
        outputs: What the model owes.
        labels: A batch of the targets, [None, …].

    Raises:
        UserError: One gives something else than a number for each example.
        Exception: Whatever the user's code raises.
    """

    def measure(labels: tf.Tensor, predictions: tf.Tensor) -> tf.Tensor:
        losses = loss(labels, predictions)
        for metric, summed in metrics.own.items():
            asked = f"--metrics=…:{metric.name}"
            found = summed.sums(labels, predictions)
            if set(found) != set(summed.sum_sizes):
                raise UserError(
                    f"{asked} gave sums named {', '.join(found)}: expected those of "
                    f"its sum_sizes, {', '.join(summed.sum_sizes)}"
                )
            for name, size in summed.sum_sizes.items():
                values = tf.convert_to_tensor(found[name])
                first = values if size == 1 else values[..., 0]
                require_per_example(f"{asked} (sum {name})", first, predictions)
                if size > 1 and not values.shape.is_compatible_with([_BATCH, size]):
                    raise UserError(
                        f"{asked} (sum {name}) gave shape {values.shape}: expected "
                        f"({_BATCH}, {size})"
                    )
        return losses

    tf.function(measure, autograph=False).get_concrete_function(
        tf.TensorSpec([_BATCH, *labels.shape[1:]], labels.dtype),
        tf.TensorSpec([_BATCH, outputs.size], tf.float32),
    )


def _traced(asked: str, model: keras.Model, examples: Any) -> tuple[Any, Any]:
    """The forward pass as a concrete function, and its inputs in the graph."""
    given: list[Any] = []

    def forward(inputs: Any) -> Any:
        given[:] = [inputs]
        return model(inputs, training=False)

    specs = tf.nest.map_structure(lambda t: tf.TensorSpec(t.shape, t.dtype), examples)
    try:
        function = tf.function(forward, autograph=False).get_concrete_function(specs)
    except Exception as error:
        error.add_note(f"{asked}: this was raised when it was called on a batch")
        raise
    return function, given[0]


def _require_tensor(asked: str, made: Any, outputs: Outputs) -> None:
    """Refuses outputs of another structure, shape or type than those owed."""
    owed = f"[{_BATCH}, {outputs.size}]"
    if not tf.is_tensor(made):
        kind = type(made).__name__
        names = f" ({', '.join(map(str, made))})" if isinstance(made, dict) else ""
        raise UserError(
            f"{asked} gives a {kind}{names}: expected one tensor, {owed} for a batch of"
            f" {_BATCH} examples"
        )
    shape = made.shape
    received = f"{asked} gives {list(shape)} for a batch of {_BATCH} examples"
    if shape.rank is not None and shape.rank > 2:
        raise UserError(
            f"{received}, a map for each: expected {owed}, outputs.size numbers for "
            "each; flatten or pool it before the last layer"
        )
    if not shape.is_compatible_with([_BATCH, outputs.size]):
        raise UserError(
            f"{received}: expected {owed}, as there are {outputs.size} {_word(outputs)}"
            "; let the last layer have outputs.size units"
        )
    if not made.dtype.is_floating:
        raise UserError(f"{asked} gives {made.dtype.name}: expected floating numbers")


def _word(outputs: Outputs) -> str:
    return "targets" if outputs.mean else "outputs"


def _reached(output: tf.Tensor, given: Any) -> list[tf.Tensor]:
    """Those of the inputs that the output is computed from."""
    inputs = {id(tensor.op): tensor for tensor in tf.nest.flatten(given)}
    seen: set[int] = set()
    found, left = [], [output.op]
    while left:
        operation = left.pop()
        if id(operation) in seen or operation.type in _OF_SHAPES:
            continue
        seen.add(id(operation))
        if id(operation) in inputs:
            found.append(inputs[id(operation)])
        left.extend(tensor.op for tensor in operation.inputs)
    return found


def _named(given: Any) -> Iterator[tuple[str, tf.Tensor]]:
    """The inputs by the names of a table's parts; a single one has none."""
    if isinstance(given, dict):
        yield from given.items()
    else:
        yield "", given


def _is_here(model: keras.Model) -> bool:
    """Whether the model's variables can be read here, not on parameter servers."""
    return not any("/job:ps" in variable.value.device for variable in model.variables)


def _require_finite(asked: str, values: np.ndarray, tell: Tell) -> None:
    wrong = ~np.isfinite(values).all(axis=1)
    if wrong.all():
        raise UserError(
            f"{asked}: its outputs for random inputs are not finite, before any "
            "training: look for a logarithm, a root or a division of what may be 0 or "
            "below"
        )
    if wrong.any():
        tell(
            f"{asked}: its outputs for {wrong.sum()} of {len(wrong)} random inputs are "
            "not finite, before any training"
        )


def _check_logits(
    asked: str,
    made: tf.Tensor,
    values: np.ndarray | None,
    task: "Task",
    own_loss: bool,
    tell: Tell,
) -> None:
    """Refuses probabilities where logits are owed, or tells of them."""
    last = made.op
    while last.type in _PASSED_ON:
        last = last.inputs[0].op
    found = _PROBABILITIES.get(last.type)
    if found is None and values is not None and _are_shares(values):
        found = "probabilities"
    if found is None:
        return
    if own_loss:
        tell(
            f"{asked} ends in {found}: --loss gets them as they are, but {task.name} "
            "takes outputs for logits in its answers and metrics"
        )
        return
    raise UserError(
        f"{asked} ends in {found}: {task.name} owes logits, of which the loss takes the"
        " probabilities itself; leave the last activation out, or give a --loss of your"
        " own that wants them"
    )


def _are_shares(values: np.ndarray) -> bool:
    """Whether each row is of numbers that are not below 0 and sum to 1."""
    if values.shape[1] < 2 or not (values >= 0).all():
        return False
    sums = values.sum(axis=1, dtype=np.float64)
    return all(math.isclose(total, 1, abs_tol=_SUM_TOLERANCE) for total in sums)
