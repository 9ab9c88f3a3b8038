"""From the flags of a search to those of its trials, checked before one is started."""

import contextlib
import dataclasses
import types
import typing
from collections.abc import Iterator, Mapping
from typing import Any

from app.configs import flags
from app.configs.commands import TrainConfig, TuneConfig
from base.errors import UserError
from base.fields import require
from models import registry
from tuning import space as spaces
from tuning.space import Kind, Space

_ARGUMENT = "model_args."
_REFUSED = {
    "run_dir": "is where the search lies",
    "seed": "tells nothing of a configuration; --confirm trains the best with others",
    "stop_after": "is what the tuner pauses trials by",
    "figures": "is no matter of training",
    "progress": "is no matter of training",
    "model_args": "is searched by argument: model_args.NAME=…",
    "threads": "is the same for all trials, so that they can be compared",
}
# Combinations that are checked; each is a matter of microseconds.
_MOST_CORNERS = 2_000


def read_space(config: TuneConfig) -> Space:
    """The space that `--search` describes, every value of it checked.

    Raises:
      UserError: a flag that does not exist, a value it does not take, or one that no
        combination makes valid.
    """
    space = spaces.parse(config.search.search, _kinds(config), _REFUSED)
    _check_epochs(config, space)
    _check_corners(config, space)
    return space


def trial_arguments(
    config: TuneConfig, searched: Mapping[str, Any], **own: Any
) -> list[str]:
    """The arguments of `atelier train` for one trial.

    Args:
      config: of the search, the fixed part.
      searched: the trial's flags.
      **own: flags that the search itself sets.
    """
    values = flags.to_values(trial_config(config, searched, **own))
    return [
        flags.argument_of(name, value)
        for name, value in values.items()
        if value is not None
    ]


def trial_config(
    config: TuneConfig, searched: Mapping[str, Any], **own: Any
) -> TrainConfig:
    """The configuration of one trial.

    Raises:
      UserError: a value is out of its range, or does not go with another.
    """
    values = flags.to_values(config)
    arguments = _arguments(str(values["model_args"]))
    for name, value in searched.items():
        if name.startswith(_ARGUMENT):
            arguments[name.removeprefix(_ARGUMENT)] = value
        else:
            values[name] = value
    values["model_args"] = ",".join(f"{n}={v}" for n, v in arguments.items())
    made = flags.from_values(TrainConfig, values | own)
    registry.parse_args(made.model.model, made.model.model_args)
    return made


def first_arguments(config: TuneConfig, space: Space) -> list[str]:
    """The arguments of `atelier train` for the first combination that is valid."""
    for values in space.corners(_MOST_CORNERS):
        with contextlib.suppress(UserError):
            return trial_arguments(config, values)
    raise UserError("--search: no combination of the first and last values is valid")


def _arguments(text: str) -> dict[str, Any]:
    pairs = (pair.partition("=") for pair in text.split(",") if pair.strip())
    return {name.strip(): value.strip() for name, _, value in pairs}


def _kinds(config: TuneConfig) -> dict[str, Kind]:
    """What can be searched: every flag of `train`, and the models' arguments."""
    kinds = {
        field.name: Kind(
            flags.plain_type(group, field),
            tuple(field.metadata.get("choices") or ()),
            field.default is None,
            bool(field.metadata.get("own")),
        )
        for _, group in flags.groups(TrainConfig)
        for field in dataclasses.fields(group)
        if field.name not in _REFUSED
    }
    for model in _models(config):
        for name, kind in _argument_kinds(model):
            kinds[f"{_ARGUMENT}{name}"] = kind
    return kinds


def _models(config: TuneConfig) -> Iterator[str]:
    """The models that a trial may have: the fixed one, or those that are searched."""
    for text in config.search.search:
        name, _, values = text.partition(" if ")[0].partition("=")
        if name.strip() == "model":
            yield from (value.strip() for value in values.split("|"))
            return
    yield config.model.model


def _argument_kinds(model: str) -> Iterator[tuple[str, Kind]]:
    config_class = registry.config_class(model)
    hints = typing.get_type_hints(config_class)
    for field in dataclasses.fields(config_class):
        hint, optional = hints[field.name], False
        if isinstance(hint, types.UnionType):
            optional = True
            (hint,) = (p for p in typing.get_args(hint) if p is not type(None))
        choices = tuple(field.metadata.get("choices") or ())
        yield field.name, Kind(hint, choices, optional)


def _check_epochs(config: TuneConfig, space: Space) -> None:
    """Refuses rungs that a trial reaches before it was evaluated, and moving ends."""
    if config.training.stop_after is not None:
        raise UserError("--stop_after is what the tuner pauses trials by; leave it out")
    halving = config.search.tuner in ("asha", "hyperband")
    for name in ("epochs", "evaluate_every"):
        if halving and any(dimension.name == name for dimension in space):
            raise UserError(
                f"--search={name}=… with --tuner={config.search.tuner}: trials are"
                f" compared by epoch; expected the same --{name} for all, or another"
                " tuner"
            )
    first = config.search.min_epochs if config.search.tuner == "asha" else 1
    every = config.training.evaluate_every
    require(
        not halving or (every.unit == "" and every.amount <= first),
        "evaluate_every",
        every,
        f"at most {first:g}, in epochs, as trials are compared after so many",
    )


def _check_corners(config: TuneConfig, space: Space) -> None:
    """Tries the space's choices and ends of ranges, in all combinations, on the flags.

    A combination may be wrong, and is a failed trial if it is drawn; a value that no
    combination goes with is a mistake.
    """
    wrong: dict[tuple[str, Any], UserError] = {}
    right: set[tuple[str, Any]] = set()
    for values in space.corners(_MOST_CORNERS):
        try:
            trial_config(config, values)
        except UserError as error:
            wrong |= {item: wrong.get(item, error) for item in values.items()}
        else:
            right |= set(values.items())
    for (name, value), reason in wrong.items():
        if (name, value) not in right:
            raise UserError(f"--search={name}: {value} is never valid: {reason}")
