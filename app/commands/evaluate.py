"""`atelier evaluate`: evaluates a run on a split of its data, or on other data."""

from app.config import EvaluateConfig

CONFIG = EvaluateConfig


def run(config: EvaluateConfig) -> int:
    """Evaluates; returns the exit status."""
    from app.training import assessment

    return assessment.evaluate(config)
