"""`atelier tune`: searches hyperparameters; each trial is a run folder."""

from app.config import TuneConfig

CONFIG = TuneConfig


def run(config: TuneConfig) -> int:
    """Searches; returns the exit status."""
    from app.searching import command

    return command.tune(config)
