"""The likeliest classes with their probabilities."""

from collections.abc import Mapping

import numpy as np

from app.serving.signatures import Contract


def header(contract: Contract, top_k: int) -> list[str]:
    """label and probability, then label_2, probability_2, …"""
    names = ["label", "probability"]
    for rank in range(2, min(top_k, len(contract.names)) + 1):
        names += [f"label_{rank}", f"probability_{rank}"]
    return names


def cells(
    answer: Mapping[str, np.ndarray], contract: Contract, top_k: int
) -> list[str]:
    """The `top_k` likeliest classes, each with its probability."""
    probabilities = answer["probabilities"]
    likeliest = np.argsort(-probabilities, kind="stable")[:top_k]
    return [
        cell
        for index in likeliest
        for cell in (contract.names[index], f"{probabilities[index]:.6f}")
    ]
