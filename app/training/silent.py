"""What a worker that is not the chief does in place of keeping the run folder: nothing.

It trains along, restores what the chief restores, and leaves writing to it.
"""

from typing import Any

import numpy as np

from app.training.checkpoints import Snapshot
from app.training.loop import Speed
from app.training.state import TrainState
from app.training.step import Trainer


class SilentJournal:
    """Takes what a `Journal` takes, and tells nobody."""

    def close(self) -> None:
        """Nothing is open."""

    def record_start(self, step: int, changed: dict[str, list[Any]]) -> None:
        """The chief does."""

    def show_model(self, text: str, trainer: Trainer) -> None:
        """The chief does."""

    def evaluated(self, line: dict[str, float]) -> None:
        """The chief logs it."""

    def norms(self, step: int, values: dict[str, float]) -> None:
        """The chief logs them."""

    def staleness(self, step: int, counts: np.ndarray) -> None:
        """The chief logs it."""

    def segment(self, state: TrainState, loss: float, speed: Speed) -> None:
        """The chief shows it."""

    def finish(self) -> None:
        """The chief draws the figures."""


class SilentWriter:
    """Takes what a checkpoints' `Writer` takes, and writes nothing."""

    def write(self, snapshot: Snapshot) -> None:
        """The chief does."""

    def wait(self) -> None:
        """Nothing is on its way."""

    def close(self) -> None:
        """Nothing is open."""
