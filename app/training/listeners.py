"""Who is told of a training and keeps its checkpoints; and those who keep nothing.

A worker that is not the chief trains along and restores what the chief restores, but
leaves the run folder to it.
"""

from typing import Any, Protocol

import numpy as np

from app.training.checkpoints import Snapshot
from app.training.inspection import Inspector
from app.training.loop import Speed
from app.training.state import TrainState


class Listener(Protocol):
    """Told what happens between a start and its end."""

    def close(self) -> None:
        """Nothing more is told."""

    def record_start(self, step: int, changed: dict[str, list[Any]]) -> None:
        """The training starts at `step`, with these flags changed since it began."""

    def show_model(self, text: str, inspector: Inspector) -> None:
        """A model is trained from its first step; `text` is its table of layers."""

    def evaluated(self, line: dict[str, float]) -> None:
        """An evaluation gave this line."""

    def norms(self, step: int, values: dict[str, float]) -> None:
        """Weights and gradients have these norms, by variable."""

    def staleness(self, step: int, counts: np.ndarray) -> None:
        """So many steps up to `step` had each staleness."""

    def segment(self, state: TrainState, loss: float, speed: Speed) -> None:
        """A segment ended."""

    def finish(self) -> None:
        """The training is done."""


class CheckpointWriter(Protocol):
    """Takes snapshots, and keeps them."""

    def write(self, snapshot: Snapshot) -> None:
        """Starts to keep a snapshot."""

    def wait(self) -> None:
        """Returns when the last one is kept."""

    def close(self) -> None:
        """Lets the last one end, whatever came of it."""


class SilentListener:
    """Takes what a `Listener` takes, and tells nobody."""

    def close(self) -> None:
        """Nothing is open."""

    def record_start(self, step: int, changed: dict[str, list[Any]]) -> None:
        """The chief does."""

    def show_model(self, text: str, inspector: Inspector) -> None:
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
    """Takes what a `CheckpointWriter` takes, and writes nothing."""

    def write(self, snapshot: Snapshot) -> None:
        """The chief does."""

    def wait(self) -> None:
        """Nothing is on its way."""

    def close(self) -> None:
        """Nothing is open."""
