"""The values, in the targets' own units."""

from collections.abc import Mapping

import numpy as np

from app.serving.signatures import Contract


def header(contract: Contract, top_k: int) -> list[str]:
    """value, or value_1, value_2, … where there are more than one."""
    del top_k
    size = contract.task.outputs.size
    return ["value"] if size == 1 else [f"value_{i + 1}" for i in range(size)]


def cells(
    answer: Mapping[str, np.ndarray], contract: Contract, top_k: int
) -> list[str]:
    """As many digits as tell a value from every other."""
    del contract, top_k
    return [repr(float(value)) for value in np.atleast_1d(answer["value"])]
