"""`--recompute`: activations are computed a second time instead of being kept.

A model is cut into segments. In a training step only what passes from one segment to
the next is kept; the backward pass runs each segment again. Read `recompute` first.

Source: Chen et al., Training Deep Nets with Sublinear Memory Cost, 2016,
https://arxiv.org/abs/1604.06174
"""

import functools
import math
from collections.abc import Callable, Sequence
from typing import Any

import keras
import tensorflow as tf

from app.training import randomness
from base.errors import UserError
from models import keras_internals, wiring

# From a segment's inputs to its outputs, both flat lists of tensors.
Segment = Callable[[list[tf.Tensor]], list[tf.Tensor]]


def recompute(model: keras.Model) -> int:
    """Lets a model recompute its activations in training steps; changes it in place.

    A functional model is cut where little passes on; of any other, the layers that are
    made of layers, such as a transformer's blocks, are the segments.

    Returns:
      How many segments there are.

    Raises:
      UserError: the model has no parts that could be recomputed.
    """
    segments = _recompute_within(model)
    if not segments:
        raise UserError(
            f"--recompute found nothing to recompute in {model.name}: expected a"
            " functional model, or one with layers that are made of layers"
        )
    return segments


def _recompute_within(layer: keras.layers.Layer) -> int:
    functional = keras_internals.functional(layer)
    if functional is not None:
        parts = _cut(functional)
        call = functools.partial(_call_functional, functional, parts)
        keras_internals.replace_call(functional, call)
        inner = [n.operation for part in parts if _is_model(part) for n in part]
        own = sum(not _is_model(part) for part in parts)
        return own + sum(_recompute_within(model) for model in inner)
    found = 0
    for child in keras_internals.child_layers(layer):
        if isinstance(child, keras.Model):
            found += _recompute_within(child)
        elif keras_internals.child_layers(child):
            call = functools.partial(_call_whole, child, child.call)
            keras_internals.replace_call(child, call)
            found += 1
    return found


def _cut(model: keras.Model) -> list[list[Any]]:
    """The model's nodes in the order of their calls, in parts.

    A model within the model is a part of its own. Of the rest, parts are about as long
    as there are parts, and end where few tensors are waited for.
    """
    nodes = wiring.nodes_in_order(model)
    waiting = wiring.waiting_after(nodes, model.outputs)
    length = max(2, math.isqrt(len(nodes)))
    parts: list[list[Any]] = []
    first = 0
    while first < len(nodes):
        last = first
        if not _is_model(nodes[first : first + 1]):
            stop = _next_model(nodes, first)
            ends = range(
                min(first + length // 2, stop - 1), min(stop, first + 2 * length)
            )
            wanted = first + length - 1
            last = min(ends, key=lambda end: (waiting[end], abs(end - wanted)))
        parts.append(nodes[first : last + 1])
        first = last + 1
    return parts


def _next_model(nodes: Sequence[Any], first: int) -> int:
    return next(
        (i for i in range(first, len(nodes)) if _is_model(nodes[i : i + 1])), len(nodes)
    )


def _is_model(part: Sequence[Any]) -> bool:
    """Whether the part is a single call of a model, or of a layer around a model."""
    if len(part) != 1:
        return False
    operation = part[0].operation
    around = (operation, *keras_internals.child_layers(operation))
    return any(isinstance(layer, keras.Model) for layer in around)


def _call_functional(
    model: Any,
    parts: Sequence[Sequence[Any]],
    inputs: Any,
    training: bool | None = None,
    mask: Any = None,
) -> Any:
    """The model's `call`, part by part."""
    if not training or not randomness.is_keyed():
        return type(model).call(model, inputs, training=training, mask=mask)
    _require_no_mask([] if mask is None else tf.nest.flatten(mask))
    given = keras_internals.standardized_inputs(model, inputs)
    values = {id(x): y for x, y in zip(model.inputs, given, strict=True)}
    later = _needed_after(parts, model.outputs)
    for part, needed in zip(parts, later, strict=True):
        if _is_model(part):
            _run_nodes(part, values, training)
            continue
        made = {id(x) for node in part for x in node.outputs}
        taken = list(
            dict.fromkeys(
                id(x) for n in part for x in n.input_tensors if id(x) not in made
            )
        )
        left = [key for key in made if key in needed]
        segment = functools.partial(_run_part, part, taken, left, training)
        layers = [n.operation for n in part]
        outputs = _recomputed(segment, layers, [values[key] for key in taken])
        values |= dict(zip(left, outputs, strict=True))
    outputs = [values[id(x)] for x in model.outputs]
    return keras_internals.structured_outputs(model, outputs)


def _needed_after(parts: Sequence[Any], outputs: Sequence[Any]) -> list[set[int]]:
    needed, found = {id(x) for x in outputs}, []
    for part in reversed(parts):
        found.append(set(needed))
        needed |= {id(x) for node in part for x in node.input_tensors}
    return found[::-1]


def _run_part(
    part: Sequence[Any],
    taken: Sequence[int],
    left: Sequence[int],
    training: bool,
    inputs: list[tf.Tensor],
) -> list[tf.Tensor]:
    values = dict(zip(taken, inputs, strict=True))
    _run_nodes(part, values, training)
    return [values[key] for key in left]


def _run_nodes(part: Sequence[Any], values: dict[int, Any], training: bool) -> None:
    """Calls the nodes' operations; puts what they give into `values`."""
    for node in part:
        outputs = tf.nest.flatten(keras_internals.call_of(node, values, training))
        values |= {id(x): y for x, y in zip(node.outputs, outputs, strict=True)}


def _call_whole(layer: Any, call: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """A layer's `call`, as one segment; its other arguments are no tensors."""
    if kwargs.get("training") is False or not randomness.is_keyed():
        return call(*args, **kwargs)
    flat = tf.nest.flatten((args, kwargs))
    places = [i for i, value in enumerate(flat) if tf.is_tensor(value)]
    structure: list[Any] = []

    def segment(inputs: list[tf.Tensor]) -> list[tf.Tensor]:
        filled = list(flat)
        for place, value in zip(places, inputs, strict=True):
            filled[place] = value
        again, named = tf.nest.pack_sequence_as((args, kwargs), filled)
        outputs = call(*again, **named)
        structure[:] = [outputs]
        return list(tf.nest.flatten(outputs))

    outputs = _recomputed(segment, [layer], [flat[place] for place in places])
    return tf.nest.pack_sequence_as(structure[0], outputs)


def _recomputed(
    segment: Segment, layers: Sequence[Any], inputs: list[tf.Tensor]
) -> list[tf.Tensor]:
    """What a segment gives, with a gradient that runs it again.

    The segment is made a function of its inputs and of its layers' variables, so that
    the second run sees what the first one saw and changes nothing: moving averages are
    taken from the first. Its draws are keyed as in the first.
    """
    _require_no_mask(inputs)
    variables = _variables_of(layers)
    keys = randomness.current()
    moved: list[Any] = []

    def run(values: Sequence[tf.Tensor]) -> tuple[list[tf.Tensor], list[tf.Tensor]]:
        mapping = list(zip(variables, values[len(inputs) :], strict=True))
        with keras.StatelessScope(mapping, collect_losses=True) as scope:
            outputs = segment(list(values[: len(inputs)]))
        _require_no_losses(scope, layers)
        updates = [(v, scope.get_current_value(v), old) for v, old in mapping]
        moved[:] = [v for v, new, old in updates if new is not old]
        return outputs, [tf.stop_gradient(n) for _, n, old in updates if n is not old]

    @tf.custom_gradient
    def pure(*values: tf.Tensor) -> tuple[list[tf.Tensor], Callable[..., list[Any]]]:
        outputs, updates = run(values)

        def backward(*upstream: tf.Tensor) -> list[Any]:
            # Not before the gradient is there, or nothing would be saved.
            with tf.control_dependencies(upstream):
                again = [tf.identity(value) for value in values]
            watched = [value for value in again if value.dtype.is_floating]
            with tf.GradientTape(watch_accessed_variables=False) as tape:
                tape.watch(watched)
                with randomness.keyed_as(keys):
                    results, _ = run(again)
            found = iter(tape.gradient(results, watched, upstream[: len(results)]))
            return [next(found) if v.dtype.is_floating else None for v in again]

        return [*outputs, *updates], backward

    kept = [keras_internals.raw_value(variable) for variable in variables]
    results = pure(*inputs, *kept)
    outputs = list(results[: len(results) - len(moved)])
    for variable, value in zip(moved, results[len(outputs) :], strict=True):
        variable.assign(value)
    return outputs


def _variables_of(layers: Sequence[Any]) -> list[Any]:
    """The layers' variables, once each; the counters of random draws are not used."""
    found = {
        id(variable): variable
        for layer in layers
        if isinstance(layer, keras.layers.Layer)
        for variable in layer.variables
        if tf.as_dtype(variable.dtype).is_floating
    }
    return list(found.values())


def _require_no_mask(tensors: Sequence[Any]) -> None:
    if any(map(keras_internals.has_mask, tensors)):
        raise UserError(
            "--recompute with a model that masks time steps: a mask is not carried over"
            " from segment to segment; leave the flag out"
        )


def _require_no_losses(scope: keras.StatelessScope, layers: Sequence[Any]) -> None:
    if scope.losses:
        names = ", ".join(layer.name for layer in layers)
        raise UserError(
            f"--recompute with a model in which one of {names} adds a loss by itself:"
            " its gradient would be lost; leave the flag out"
        )
