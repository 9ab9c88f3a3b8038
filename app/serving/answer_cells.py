"""What predict's CSV says of an answer: header and cells."""

import numpy as np

from pipelines.features import Features


def header(features: Features, top_k: int, first: str) -> list[str]:
    """Names of the CSV's columns, after `first`, which names an example."""
    if features.task == "regression":
        names = [f"value_{i + 1}" for i in range(features.targets)]
        return [first, *(["value"] if len(names) == 1 else names)]
    names = [first, "label", "probability"]
    for rank in range(2, min(top_k, len(features.classes)) + 1):
        names += [f"label_{rank}", f"probability_{rank}"]
    return names


def cells(answer: dict[str, np.ndarray], features: Features, top_k: int) -> list[str]:
    """The likeliest classes with their probabilities, or the values."""
    if features.task == "regression":
        return [repr(float(value)) for value in np.atleast_1d(answer["value"])]
    probabilities = answer["probabilities"]
    likeliest = np.argsort(-probabilities, kind="stable")[:top_k]
    return [
        cell
        for index in likeliest
        for cell in (features.classes[index], f"{probabilities[index]:.6f}")
    ]
