"""The labels that are predicted, and the probability of each label."""

from collections.abc import Mapping

import numpy as np

from app.serving.signatures import Contract

# As tables have sets of labels: `cat;dog`.
_SEPARATOR = ";"


def header(contract: Contract, top_k: int) -> list[str]:
    """labels, and probability_NAME for every label, whether it is predicted or not."""
    del top_k  # labels do not compete
    return ["labels", *(f"probability_{name}" for name in contract.names)]


def cells(
    answer: Mapping[str, np.ndarray], contract: Contract, top_k: int
) -> list[str]:
    """The labels with `;` between them; probabilities, which do not sum to 1."""
    del top_k
    predicted = zip(contract.names, answer["predicted"], strict=True)
    labels = _SEPARATOR.join(name for name, is_said in predicted if is_said)
    return [labels, *(f"{value:.6f}" for value in answer["probabilities"])]
