"""`atelier predict`: predicts images or rows with a run or an export, to CSV."""

from app.config import PredictConfig

CONFIG = PredictConfig


def run(config: PredictConfig) -> int:
    """Predicts; returns the exit status."""
    from app.training import prediction

    return prediction.predict(config)
