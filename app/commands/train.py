"""`atelier train`: trains into the run folder, or goes on with what is in it."""

from app.configs import flags
from app.configs.commands import TrainConfig
from base.errors import EXIT_DONE, Interrupted
from models import registry

CONFIG = TrainConfig


def more_help() -> str:
    """The arguments of each model, for `--model_args`."""
    models = (
        flags.arguments_text(name, registry.config_class(name))
        for name in registry.names()
    )
    return "\nModels and their --model_args\n" + "\n".join(models)


def run(config: TrainConfig) -> int:
    """Trains; returns the exit status.

    Raises:
      Interrupted: paused; the same command goes on.
    """
    from app.runs import train

    outcome = train.train(config, ends_process=True)
    if outcome.state == "interrupted":
        raise Interrupted(outcome.told)
    if outcome.told:
        print(outcome.told)
    return EXIT_DONE
