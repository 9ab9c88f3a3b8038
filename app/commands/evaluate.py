"""`atelier evaluate`: evaluates a run on a split of its data, or on other data."""

from app.configs.commands import EvaluateConfig

CONFIG = EvaluateConfig


def run(config: EvaluateConfig) -> int:
    """Evaluates; returns the exit status."""
    from app.runs import evaluate
    from base.errors import EXIT_DONE

    print(evaluate.report(evaluate.evaluate(config)))
    return EXIT_DONE
