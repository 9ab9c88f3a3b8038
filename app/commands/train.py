"""`atelier train`: trains into the run folder, or goes on with what is in it."""

from app.configs import flags
from app.configs.commands import TrainConfig
from base import files
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
    """Trains; returns the exit status."""
    from app.runs import train

    with files.disk_failures_named(str(config.run.run_dir)):
        return train.train(config)
