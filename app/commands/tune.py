"""`atelier tune`: searches hyperparameters; each trial is a run folder."""

from app.commands import train
from app.configs.commands import TuneConfig

CONFIG = TuneConfig


def get_ready(config: TuneConfig) -> None:
    """Starts the process that trials are forked from."""
    from app.searching import processes

    processes.get_ready(config.agent, train.run)


def run(config: TuneConfig) -> int:
    """Searches; returns the exit status."""
    from app.searching import command

    return command.tune(config, train.run)
