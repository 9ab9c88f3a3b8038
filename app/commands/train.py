"""`atelier train`: trains into the run folder, or goes on with what is in it."""

from app.config import TrainConfig

CONFIG = TrainConfig


def run(config: TrainConfig) -> int:
    """Trains; returns the exit status."""
    from app.training import running

    return running.train(config)
