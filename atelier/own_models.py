"""Models that a program holds: a Keras model that is built, or a function.

A Keras model is made again from its config wherever a run needs it, with its weights,
and is itself never trained. Names that Keras gave by itself are counted anew, so that
the same program makes the same model however often a cell was run.
"""

import copy
import hashlib
import inspect
import json
import re
import sys
import textwrap
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from base.errors import UserError
from base.given import Given

if TYPE_CHECKING:
    import keras

_PLAIN = (str, int, float, bool, type(None))


def hand_over(model: Any) -> Given | str:
    """What stands for a model, or the name of a function that has one.

    Args:
      model: a keras.Model, or a function of (inputs, outputs, **arguments) that makes
        one.

    Raises:
      UserError: it is neither, or the model cannot be made again.
    """
    keras = sys.modules.get("keras")
    if keras is not None and isinstance(model, keras.Model):
        return _of_keras(model)
    if inspect.isfunction(model):
        return _name_of(model) or _of_function(model)
    raise UserError(
        f"model: received a {type(model).__name__}; expected a name as --model takes"
        " it, a keras.Model, or a function of (inputs, outputs, **arguments) that makes"
        " one"
    )


def require_precision(model: "keras.Model", precision: str) -> None:
    """Refuses a precision other than that which the model's layers were made in.

    Raises:
      UserError: it is another.
    """
    names = {policy["name"] for policy in _policies(model.get_config())}
    mixed = sorted(names - {"float32"}) or ["float32"]
    if mixed != [precision]:
        raise UserError(
            f"--precision={precision}: the layers of the Keras model are in"
            f" {' and '.join(mixed)}, and keep to it; give that, or make the model"
            f" after keras.config.set_dtype_policy({precision!r})"
        )


def _name_of(function: Callable[..., Any]) -> str | None:
    """`module:function`, if that is how anyone finds it."""
    module = sys.modules.get(function.__module__)
    found = getattr(module, function.__qualname__, None)
    if function.__module__ == "__main__" or found is not function:
        return None
    return f"{function.__module__}:{function.__qualname__}"


def _of_function(function: Callable[..., Any]) -> Given:
    """Told apart by its source, and the plain values that it has from around it."""
    try:
        source = textwrap.dedent(inspect.getsource(function))
    except (OSError, TypeError):
        source = function.__code__.co_code.hex()
    around = inspect.getclosurevars(function).nonlocals
    seen = sorted((n, repr(v)) for n, v in around.items() if isinstance(v, _PLAIN))
    digest = hashlib.sha256(f"{source}\n{seen}".encode()).hexdigest()
    kind = re.sub(r"\W", "", function.__name__) or "function"
    return Given(kind, digest, function)


def _of_keras(model: "keras.Model") -> Given:
    config, weights = _canonical(model), model.get_weights() if model.built else None
    kind = f"{type(model).__module__}.{type(model).__qualname__}"
    text = json.dumps([kind, config], sort_keys=True, default=repr)
    digest = hashlib.sha256(b"".join(one.tobytes() for one in weights or ()))

    def build(inputs: Any, outputs: Any) -> Any:
        del outputs  # what a model owes is checked by whoever asks for one
        made = _made_again(model, config)
        if not made.built:
            from models.inputs import input_tensor

            made(input_tensor(inputs))
        if weights is not None:
            made.set_weights(weights)
        return made

    _made_again(model, config)  # what cannot be is said before anything is begun
    sha256 = hashlib.sha256(text.encode()).hexdigest()
    return Given("keras", sha256, build, {"weights_sha256": digest.hexdigest()})


def _made_again(model: "keras.Model", config: dict[str, Any]) -> "keras.Model":
    import keras

    config = copy.deepcopy(config)
    if keras.config.dtype_policy().name == "float32":  # as its twin for LiteRT
        for policy in _policies(config):
            policy["name"] = "float32"
    layers = {type(layer).__name__: type(layer) for layer in _layers(model)}
    own = {name: one for name, one in layers.items() if not _is_keras(one)}
    try:
        with keras.saving.custom_object_scope(own):
            made = type(model).from_config(config)
    except Exception as error:
        reason = " ".join(str(error).split())[:200]
        raise UserError(
            f"model: the {type(model).__name__} cannot be made again from its"
            f" get_config() ({reason}); give a function of (inputs, outputs) that makes"
            " it"
        ) from error
    assert isinstance(made, keras.Model)
    return made


def _is_keras(one: type) -> bool:
    return one.__module__.partition(".")[0] == "keras"


def _layers(layer: Any) -> Iterator[Any]:
    """A layer and all those within."""
    yield layer
    for inner in getattr(layer, "layers", ()):
        yield from _layers(inner)


def _canonical(model: "keras.Model") -> dict[str, Any]:
    """The model's config, its layers' automatic names counted from the first."""
    try:
        config: dict[str, Any] = copy.deepcopy(model.get_config())
    except NotImplementedError as error:
        raise UserError(
            f"model: {type(model).__name__} has no get_config(); give a function of"
            " (inputs, outputs) that makes it"
        ) from error
    renamed: dict[str, str] = {}
    counts: dict[str, int] = {}
    for class_name, inner in [(type(model).__name__, config), *_configs(config)]:
        name, prefix = inner.get("name"), _snake_case(class_name)
        if not isinstance(name, str) or name in renamed:
            continue
        if re.fullmatch(rf"{prefix}(_\d+)?", name):
            number = counts.get(prefix, 0)
            renamed[name] = f"{prefix}_{number}" if number else prefix
            counts[prefix] = number + 1
    _rename(config, renamed)
    return config


def _configs(value: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    """The class's name and config of all that a config holds, in its order."""
    if isinstance(value, dict):
        inner = value.get("config")
        if isinstance(value.get("class_name"), str) and isinstance(inner, dict):
            yield value["class_name"], inner
        for part in value.values():
            yield from _configs(part)
    elif isinstance(value, list | tuple):
        for part in value:
            yield from _configs(part)


def _policies(config: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The precisions in a config: their own configs, which hold a `name`."""
    for class_name, inner in _configs(config):
        if class_name == "DTypePolicy":
            yield inner


def _rename(value: Any, names: dict[str, str]) -> None:
    """Puts new names where a config names a layer: `name`, and [name, node, tensor].

    Changes `value`.
    """
    if isinstance(value, dict):
        for key, part in value.items():
            if key == "name" and isinstance(part, str):
                value[key] = names.get(part, part)
            else:
                _rename(part, names)
            if isinstance(part, tuple):  # which cannot be changed
                value[key] = _renamed_tuple(part, names)
    elif isinstance(value, list):
        if len(value) == 3 and isinstance(value[0], str) and value[0] in names:
            value[0] = names[value[0]]
        for index, part in enumerate(value):
            _rename(part, names)
            if isinstance(part, tuple):
                value[index] = _renamed_tuple(part, names)


def _renamed_tuple(value: tuple[Any, ...], names: dict[str, str]) -> tuple[Any, ...]:
    parts = list(value)
    _rename(parts, names)
    return tuple(parts)


def _snake_case(name: str) -> str:
    """As Keras makes a layer's name of its class's."""
    name = re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", re.sub(r"\W+", "", name))
    return re.sub(r"([a-z])([A-Z])", r"\1_\2", name).lower()
