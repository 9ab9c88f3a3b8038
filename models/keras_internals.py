"""Keras' private parts: all that Atelier relies on and Keras does not promise.

Each function says what it relies on, and has a test of its own; setup.py keeps Keras to
the versions in which they hold. Nothing else reaches into Keras: a test looks.
"""

import contextlib
import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import keras
import tensorflow as tf
from keras.src.backend.common import global_state

Call = Callable[..., Any]


# Models and layers.


def all_layers(model: keras.layers.Layer, *, recursive: bool = True) -> list[Any]:
    """The layers in a model, layers within layers too if `recursive`; not itself.

    Relies on `Layer._flatten_layers(include_self, recursive)`. Public `layers` has the
    outermost alone, and of a model alone.
    """
    return list(model._flatten_layers(include_self=False, recursive=recursive))


def child_layers(layer: keras.layers.Layer) -> list[keras.layers.Layer]:
    """The layers that a layer holds as attributes, in lists of attributes too.

    Relies on `Layer._layers`, which an operation that is no layer has not.
    """
    return list(getattr(layer, "_layers", ()))


def functional(model: keras.Model) -> keras.Model | None:
    """The functional model that `model` is, or is inside; None where it is neither.

    Relies on `Sequential._functional` and on `Functional._nodes_by_depth`, by which one
    is told: its class is not public.
    """
    inner = getattr(model, "_functional", None) or model
    return inner if hasattr(inner, "_nodes_by_depth") else None


def nodes_by_depth(model: keras.Model) -> Mapping[int, Sequence[Any]]:
    """The calls in a functional model, by their distance from its outputs.

    Relies on `Function._nodes_by_depth`, and on what its nodes have: `operation`,
    `is_input`, `input_tensors`, `outputs` and `arguments`.
    """
    found: Mapping[int, Sequence[Any]] = model._nodes_by_depth
    return found


def call_of(node: Any, values: Mapping[int, Any], training: bool) -> Any:
    """What a node's operation gives for `values`, tensors by the `id` of its own.

    Relies on `node.arguments.fill_in`, and on `Layer._call_context_args`, which names
    `training` where a layer would be given it.
    """
    args, kwargs = node.arguments.fill_in(values)
    if "training" in getattr(node.operation, "_call_context_args", ()):
        kwargs["training"] = training
    return node.operation(*args, **kwargs)


def standardized_inputs(model: keras.Model, inputs: Any) -> list[tf.Tensor]:
    """Inputs of a functional model as its own call takes them: flat, in its dtypes.

    Relies on `Functional._standardize_inputs`.
    """
    return list(tf.nest.flatten(model._standardize_inputs(inputs)))


def structured_outputs(model: keras.Model, outputs: Sequence[Any]) -> Any:
    """Flat outputs of a functional model in the structure that its call gives.

    Relies on `Function._outputs_struct`.
    """
    return tf.nest.pack_sequence_as(model._outputs_struct, outputs)


def build_shape(model: keras.Model) -> Any:
    """The shape that a model was built with.

    Relies on `Layer._build_shapes_dict`.
    """
    return model._build_shapes_dict["input_shape"]


def replace_call(layer: keras.layers.Layer, call: Call) -> None:
    """Lets one layer compute by `call`; its class and saved form stay as they were.

    Relies on `Layer.__call__` looking `call` up on the instance, and not asking for its
    signature again once the layer is made.
    """
    layer.call = call


def wrap_build_and_call(
    layer: keras.layers.Layer, wrapped: Callable[[Call], Call]
) -> None:
    """The same for `build` and `call` of a layer that is not built yet.

    Relies, beside what `replace_call` relies on, on `functools.wraps` for the names of
    the arguments, which Keras reads from `build`.
    """
    for name in ("build", "call"):
        method = getattr(layer, name)
        setattr(layer, name, functools.wraps(method)(wrapped(method)))


@contextlib.contextmanager
def outputs_watched(look: Callable[[keras.layers.Layer, Any], None]) -> Iterator[None]:
    """Within it `look` is told each layer and its outputs, inner layers first.

    Relies on every layer being called by `keras.layers.Layer.__call__`, looked up on
    the class.
    """
    original = keras.layers.Layer.__call__

    def watched(layer: keras.layers.Layer, *args: Any, **kwargs: Any) -> Any:
        outputs = original(layer, *args, **kwargs)
        look(layer, outputs)
        return outputs

    keras.layers.Layer.__call__ = watched
    try:
        yield
    finally:
        keras.layers.Layer.__call__ = original


# Tensors and variables.


def raw_value(variable: keras.Variable) -> tf.Tensor:
    """A variable's value as it is kept: float32 also in mixed precision.

    Relies on `Variable._value`; the public `value` is cast within an autocast scope.
    """
    return tf.convert_to_tensor(variable._value)


def has_mask(tensor: Any) -> bool:
    """Whether a layer has put a mask of time steps on a tensor.

    Relies on the attribute `_keras_mask` of tensors.
    """
    return getattr(tensor, "_keras_mask", None) is not None


# The process.


@contextlib.contextmanager
def state_kept() -> Iterator[None]:
    """Within it precision, seed and counters of names may change, `clear_session` too.

    Relies on `global_state.GLOBAL_STATE_TRACKER` and `GLOBAL_SETTINGS_TRACKER`, which
    `clear_session` replaces by new ones, and leaves the old ones as they are.
    """
    names = ("GLOBAL_STATE_TRACKER", "GLOBAL_SETTINGS_TRACKER")
    before = {name: getattr(global_state, name) for name in names}
    try:
        yield
    finally:
        for name, tracker in before.items():
            setattr(global_state, name, tracker)


# Optimizers.


def leave_reduction_to_the_caller(optimizer: keras.optimizers.Optimizer) -> None:
    """Lets `apply` take gradients as they are, where it would add the replicas' up.

    Relies on `Optimizer._all_reduce_sum_gradients(grads_and_vars)`, which gives pairs
    like its argument, and which Keras calls in a replica of TensorFlow's.
    """
    inner_optimizer(optimizer)._all_reduce_sum_gradients = list


def moving_averages(optimizer: keras.optimizers.Optimizer) -> list[keras.Variable]:
    """The averages that `use_ema` keeps, of the variables it was built on, in order.

    Relies on `Optimizer._model_variables_moving_average`.
    """
    inner = inner_optimizer(optimizer)
    return list(inner._model_variables_moving_average) if inner.use_ema else []


def inner_optimizer(optimizer: keras.optimizers.Optimizer) -> Any:
    """The optimizer that scales no losses: itself, or what LossScaleOptimizer holds.

    Relies on `LossScaleOptimizer.inner_optimizer`, which is not documented.
    """
    return getattr(optimizer, "inner_optimizer", optimizer)


def adam_moments(optimizer: keras.optimizers.Adam, variable: Any) -> tuple[Any, Any]:
    """A variable's first and second moment in Adam or AdamW.

    Relies on `Optimizer._get_variable_index`, `Adam._momentums` and `Adam._velocities`.
    """
    index = optimizer._get_variable_index(variable)
    return optimizer._momentums[index], optimizer._velocities[index]


class Muon(keras.optimizers.Muon):
    """Keras' Muon, which asks `goes_by_adamw` and `update_matrix` what to do.

    Relies on `Muon._should_use_adamw(variable)` and `Muon._muon_update_step(gradient,
    variable, lr, m)`, the two halves of its `update_step`.
    """

    def goes_by_adamw(self, variable: Any) -> bool:
        """Whether a variable is AdamW's to update."""
        return bool(super()._should_use_adamw(variable))

    def update_matrix(
        self, gradient: Any, variable: Any, rate: Any, momentum: Any
    ) -> None:
        """Updates a variable that is not AdamW's, and its momentum."""
        super()._muon_update_step(gradient, variable, rate, momentum)

    def _should_use_adamw(self, variable: Any) -> bool:
        return self.goes_by_adamw(variable)

    def _muon_update_step(self, gradient: Any, variable: Any, lr: Any, m: Any) -> None:
        self.update_matrix(gradient, variable, lr, m)
