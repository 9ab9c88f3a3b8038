"""Confidence intervals for what was counted on a finite number of examples."""

import scipy.stats


def wilson_95(successes: int, examples: int) -> tuple[float, float]:
    """The 95 % Wilson score interval of a fraction, as (low, high) in [0, 1].

    E. B. Wilson, "Probable inference, the law of succession, and statistical
    inference", JASA 22 (1927). Unlike the normal approximation it stays inside [0, 1]
    and does not collapse at 0 or 1.

    Raises:
      ValueError: `examples` is 0, or `successes` is not within 0..examples.
    """
    if examples < 1:
        raise ValueError(f"an interval needs at least one example, got {examples}")
    test = scipy.stats.binomtest(int(successes), int(examples))
    interval = test.proportion_ci(confidence_level=0.95, method="wilson")
    return float(interval.low), float(interval.high)
