"""The models by name: checked without TensorFlow, their builders imported on use."""

import dataclasses
import importlib
import inspect
import typing
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from base import own_parts
from base.errors import UserError, unknown
from models import architectures, arguments
from models.spec import Inputs, Outputs

if TYPE_CHECKING:
    import keras


@dataclasses.dataclass(frozen=True)
class Entry:
    """A model of the registry.

    Attributes:
        config_class: Frozen dataclass of the model's arguments.
        builder: `module:function`, called with (config, inputs, outputs).
    """

    config_class: type
    builder: str


_ENTRIES: dict[str, Entry] = {}


def register(name: str, config_class: type, builder: str) -> None:
    """Adds a model.

    Args:
        name: What `--model` calls it; without a colon, which marks users' own builders.
        config_class: Frozen dataclass of its arguments; see `models.arguments`.
        builder: `module:function`, called with (config, inputs, outputs) to give a
            keras.Model; imported when a model is built.

    Raises:
        ValueError: There is a model of this name, or the name has a colon.
    """
    if name in _ENTRIES:
        raise ValueError(f"model {name!r} is registered already: {_ENTRIES[name]}")
    if ":" in name:
        raise ValueError(f"model {name!r}: expected a name without a colon")
    _ENTRIES[name] = Entry(config_class, builder)


def names() -> tuple[str, ...]:
    """The names of all models, sorted."""
    return tuple(sorted(_ENTRIES))


def config_class(name: str) -> type:
    """The frozen dataclass of the arguments of model `name`.

    For `package.module:name` it is made from the function's or the class's signature,
    which imports that module; the models of the registry need no import.
    """
    if ":" in name:
        return _config_class_of(name, _load_own(name))
    if name not in _ENTRIES:
        raise unknown("model", name, names())
    return _ENTRIES[name].config_class


def parse_args(name: str, text: str) -> Any:
    """The arguments of model `name`, as its frozen config dataclass.

    Args:
        name: A registered name, or `package.module:name`.
        text: `argument=value` pairs separated by commas; empty means all defaults.

    Raises:
        UserError: Unknown model or argument, or a value that does not fit.
    """
    return arguments.parse(name, config_class(name), text)


def _say_nothing(line: str) -> None:
    """Lets a line go."""


def build(
    name: str,
    args_text: str,
    inputs: Inputs,
    outputs: Outputs,
    views: str = "none",
    placed: bool = False,
    own_loss: bool = False,
    tell: Callable[[str], None] = _say_nothing,
) -> "keras.Model":
    """A new model `name`, built: raw `inputs` in, float32 `outputs` out.

    Initial weights follow from `keras.utils.set_random_seed`, and precision from
    `keras.config.set_dtype_policy`; call both before. With `views` (`flip` or
    `flip_translate`), what it answers outside of training is an average over them. It
    is on the devices that its arguments name if it is to be `placed`, else on one.

    A model of the user's own is tried on a batch, see `owed`: with `own_loss`, the
    user's too, it may give probabilities. What is no mistake is told to `tell`.

    Raises:
        UserError: Unknown model or argument, or a model that does not fit `inputs`, or
            does not give `outputs`.
    """
    import keras

    config = parse_args(name, args_text)
    if devices := devices_of(name, args_text):
        config = dataclasses.replace(config, devices=None)
    if ":" in name:
        values = {f.name: getattr(config, f.name) for f in dataclasses.fields(config)}
        model = _build_own(name, values, inputs, outputs)
    else:
        model = _load(name)(config, inputs, outputs)
    if not isinstance(model, keras.Model):
        raise UserError(
            f"model {name} gave a {type(model).__name__}: expected a keras.Model"
        )
    if ":" in name:
        from models import owed
        from models.tasks.registry import task_of

        asked, task = f"--model={name}", task_of(outputs)
        owed.check_model(asked, model, inputs, task, own_loss=own_loss, tell=tell)
    _require_whitening_used(name, model, inputs)
    if placed and devices:
        from models import placement

        model = placement.place(model, devices)
    return model if views == "none" else _averaging(model, inputs, views)


def devices_of(name: str, args_text: str) -> tuple[str, ...]:
    """The devices that the arguments of model `name` divide it among; () for none.

    A builder of the user's own places its layers itself.

    Raises:
        UserError: Unknown model or argument.
    """
    if ":" in name:
        return ()
    text = getattr(parse_args(name, args_text), "devices", None)
    return tuple(text.split("+")) if text else ()


def differ_in_devices_alone(name: str, args_text: str, other: str) -> bool:
    """Whether two texts of arguments of model `name` mean one model, placed anywhere.

    Raises:
        UserError: Unknown model or argument.
    """
    if ":" in name:
        return False
    configs = [parse_args(name, text) for text in (args_text, other)]
    if not hasattr(configs[0], "devices"):
        return False
    one, two = (dataclasses.replace(config, devices=None) for config in configs)
    return bool(one == two)


def _require_whitening_used(name: str, model: "keras.Model", inputs: Inputs) -> None:
    """Refuses a model that has no whitening though it was given the patches for it."""
    if inputs.patches is None:
        return
    from models import keras_internals
    from models.layers.whitening import Whitening

    layers = keras_internals.all_layers(model)
    if not any(isinstance(layer, Whitening) for layer in layers):
        raise UserError(
            f"--whitening={inputs.patches.size} with --model={name}, which begins with "
            "a layer of its own: leave it out, or use airbench, branches, cnn or "
            "resnet (a model of your own takes models.inputs.image_features)"
        )


def _averaging(model: "keras.Model", inputs: Inputs, views: str) -> "keras.Model":
    import keras

    from models.inputs import input_tensor, require_images
    from models.layers.views import AveragedViews

    require_images(f"--test_time_augmentation={views}", inputs)
    images = input_tensor(inputs)
    averaged = AveragedViews(model, views, dtype="float32", name="views")(images)
    return keras.Model(images, averaged, name=model.name)


def _load(name: str) -> Callable[..., Any]:
    """The builder of a model of the registry."""
    module, _, function = _ENTRIES[name].builder.partition(":")
    builder: Callable[..., Any] = getattr(importlib.import_module(module), function)
    return builder


def _load_own(reference: str) -> Callable[..., Any]:
    """The function or class that `package.module:name` names.

    Raises:
        UserError: There is none, or it does not begin with (inputs, outputs).
    """
    builder = own_parts.load_callable("model", reference)
    signature = inspect.signature(builder)
    try:
        signature.bind_partial(None, None)
    except TypeError:
        raise UserError(
            f"--model={reference} takes {signature}: expected (inputs, outputs, "
            "**arguments)"
        ) from None
    return builder


def _build_own(
    reference: str, given: dict[str, Any], inputs: Inputs, outputs: Outputs
) -> Any:
    """What the user's function or class makes, its variables made too."""
    import keras

    model = _load_own(reference)(inputs, outputs, **given)
    if isinstance(model, keras.Model) and not model.built:
        from models.inputs import symbolic_inputs

        model(symbolic_inputs(inputs))
    return model


def _config_class_of(name: str, function: Callable[..., Any]) -> type:
    """A frozen dataclass of the arguments that `function` takes after the first two."""
    parameters = list(inspect.signature(function).parameters.values())
    hinted = function.__init__ if inspect.isclass(function) else function
    hints = typing.get_type_hints(hinted)
    fields: list[tuple[str, Any, Any]] = []
    for parameter in parameters[2:]:
        if parameter.kind in (parameter.VAR_KEYWORD, parameter.VAR_POSITIONAL):
            continue
        required = parameter.default is inspect.Parameter.empty
        hint = hints.get(parameter.name, str if required else type(parameter.default))
        _check_hint(name, parameter.name, hint)
        default = dataclasses.MISSING if required else parameter.default
        fields.append((parameter.name, hint, dataclasses.field(default=default)))
    return dataclasses.make_dataclass("Arguments", fields, frozen=True, kw_only=True)


def _check_hint(name: str, argument: str, hint: Any) -> None:
    kinds = set(typing.get_args(hint) or (hint,)) - {type(None)}
    if len(kinds) != 1 or not kinds <= {str, int, float, bool}:
        raise UserError(
            f"model {name} argument {argument} is of type {hint}: expected str, int, "
            "float or bool, or one of these or None"
        )


for _name, _config_class in {
    "airbench": architectures.AirbenchConfig,
    "linear": architectures.LinearConfig,
    "mlp": architectures.MLPConfig,
    "cnn": architectures.CNNConfig,
    "branches": architectures.BranchesConfig,
    "resnet": architectures.ResNetConfig,
    "vit": architectures.ViTConfig,
    "pretrained": architectures.PretrainedConfig,
}.items():
    register(_name, _config_class, f"models.{_name}:build")
