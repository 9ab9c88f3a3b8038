"""Model parallelism: a model's layers on several devices.

A layer holds its variables and computes where it is placed; TensorFlow sends what
passes from one device to another. Nothing else about the model changes: its layers, the
names and values of its variables, and what it is saved as. Read `place` first.

The backward pass computes beside the forward pass only if gradients are taken by
`tf.gradients`, which puts each of them where its operation is; GradientTape does not.
"""

import math
import re
from collections.abc import Callable, Sequence
from typing import Any

import keras
import tensorflow as tf

from base.errors import UserError
from models import keras_internals, wiring

_BRANCH = re.compile(r"branch(\d+)_")


def place(model: keras.Model, devices: Sequence[str]) -> keras.Model:
    """A model that is `model` on several devices, weights included; see `divide`.

    Args:
        model: Built; each of its layers is called once.
        devices: Such as `gpu:0`, which have to be there.

    Raises:
        UserError: The model cannot be divided among so many.
    """
    where = divide(model, devices)

    def placed(layer: keras.layers.Layer) -> keras.layers.Layer:
        again = type(layer).from_config(layer.get_config())
        return on_device(again, where[layer.name])

    if keras_internals.functional(model) is not None:
        divided = keras.models.clone_model(model, clone_function=placed)
    else:
        divided = type(model).from_config(model.get_config())
        for layer in divided.layers:
            on_device(layer, where[layer.name])
        divided.build(keras_internals.build_shape(model))
    divided.set_weights(model.get_weights())
    return divided


def divide(model: keras.Model, devices: Sequence[str]) -> dict[str, str]:
    """The device of each of a model's layers, by the layer's name.

    Layers named `branchN_…` go to the devices in turn, and what is around them to the
    first; other models are divided by depth, where one tensor passes on, into parts of
    about equal work.

    Raises:
        UserError: The model cannot be divided among so many.
    """
    return _by_branch(model, devices) or _by_depth(model, devices)


def on_device(layer: keras.layers.Layer, device: str) -> keras.layers.Layer:
    """Lets a layer that is not built yet hold its variables, and compute, on `device`.

    The layer's class stays what it was, so that it is saved as if it were anywhere.
    """

    def there(method: Callable[..., Any]) -> Callable[..., Any]:
        def run(*args: Any, **kwargs: Any) -> Any:
            with tf.device(device):
                return method(*args, **kwargs)

        return run

    keras_internals.wrap_build_and_call(layer, there)
    return layer


def follow_variables(optimizer: keras.optimizers.Optimizer) -> None:
    """Lets an optimizer compute each update beside the variable it is for.

    Keras puts the optimizer's own variables there by itself.
    """
    update = optimizer.update_step

    def update_there(gradient: tf.Tensor, variable: tf.Variable, rate: Any) -> Any:
        with tf.device(variable.device):
            return update(gradient, variable, rate)

    optimizer.update_step = update_there


def _by_branch(model: keras.Model, devices: Sequence[str]) -> dict[str, str]:
    """The device of each layer by its name, in a model of branches; else nothing."""
    branches = {layer.name: _BRANCH.match(layer.name) for layer in model.layers}
    if not any(branches.values()):
        return {}
    count = max(int(found[1]) for found in branches.values() if found)
    if count < len(devices):
        raise UserError(
            f"{model.name} has {count} branches: expected as many devices at most,"
            f" received devices={'+'.join(devices)}"
        )
    return {
        name: devices[(int(found[1]) - 1) % len(devices)] if found else devices[0]
        for name, found in branches.items()
    }


def _by_depth(model: keras.Model, devices: Sequence[str]) -> dict[str, str]:
    """The device of each layer by its name, in a model of one layer after another."""
    layers, ends = _layers_and_ends(model)
    if len(ends) < len(devices):
        raise UserError(
            f"{model.name} can be divided into {len(ends)} parts at most: received"
            f" devices={'+'.join(devices)}"
        )
    done = [0.0]
    for layer in layers:
        done.append(done[-1] + _work(layer))
    where: dict[str, str] = {}
    first = 0
    for number, device in enumerate(devices, start=1):
        # Each device that is yet to come needs a part of its own.
        most = len(ends) - (len(devices) - number)
        left = [end for end in ends[:most] if end > first]
        wanted = done[-1] * number / len(devices)
        end = min(left, key=lambda end: abs(done[end] - wanted))
        if number == len(devices):
            end = len(layers)
        where |= {layer.name: device for layer in layers[first:end]}
        first = end
    return where


def _layers_and_ends(
    model: keras.Model,
) -> tuple[list[keras.layers.Layer], list[int]]:
    """The layers in order, and the numbers of layers after which a part may end."""
    functional = keras_internals.functional(model)
    if functional is None:
        layers = list(model.layers)
        return layers, list(range(1, len(layers) + 1))
    nodes = wiring.nodes_in_order(functional)
    waiting = wiring.waiting_after(nodes, functional.outputs)
    ends = [i + 1 for i, count in enumerate(waiting) if count == 1]
    return [node.operation for node in nodes], ends


def _work(layer: keras.layers.Layer) -> float:
    """About how much a layer computes: its parameters at each place of its output."""
    try:
        places = math.prod(layer.output.shape[1:-1])
    except (AttributeError, ValueError):  # within a subclassed model
        places = 1
    return float(layer.count_params() * places) if layer.built else 0.0
