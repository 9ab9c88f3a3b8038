"""`atelier predict`: predicts images or rows with a run or an export, to CSV."""

from app.configs.commands import PredictConfig

CONFIG = PredictConfig


def run(config: PredictConfig) -> int:
    """Predicts; returns the exit status."""
    from app.serving import predict

    return predict.predict(config)
