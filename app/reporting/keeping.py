"""What an evaluation hands over while it runs, and what is kept of it.

Outputs come batch by batch, so that a task of large outputs keeps a sample or sums.
"""

import dataclasses
from collections.abc import Callable
from typing import Protocol

import numpy as np

from app.reporting.predictions import SplitPredictions
from models.tasks.base import Task
from pipelines.dataset import Dataset


@dataclasses.dataclass(frozen=True)
class Evaluated:
    """What is evaluated.

    Attributes:
      task: what the model has learnt.
      dataset: the split's.
      split: as the dataset names it.
    """

    task: Task
    dataset: Dataset
    split: str


class Keeper(Protocol):
    """Takes the batches of a split in its order, and keeps what figures need."""

    def observe(self, labels: np.ndarray, outputs: np.ndarray) -> None:
        """Takes a batch: labels [B, …] and the model's outputs [B, …], no padding."""

    def kept(self) -> SplitPredictions:
        """What is kept, after the last batch."""


class WholeSplit:
    """Keeps the outputs of every example: for tasks whose outputs are small.

    Args:
      finish: makes what is kept of the labels [n, …] and the outputs [n, …].
    """

    def __init__(
        self, finish: Callable[[np.ndarray, np.ndarray], SplitPredictions]
    ) -> None:
        self._finish = finish
        self._labels: list[np.ndarray] = []
        self._outputs: list[np.ndarray] = []

    def observe(self, labels: np.ndarray, outputs: np.ndarray) -> None:
        """Takes a batch."""
        self._labels.append(labels)
        self._outputs.append(outputs)

    def kept(self) -> SplitPredictions:
        """What `finish` makes of all of them."""
        return self._finish(np.concatenate(self._labels), np.concatenate(self._outputs))
