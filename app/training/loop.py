"""The one training loop: compiled segments from boundary to boundary.

At the boundaries, and only there, actions run: evaluate and log, checkpoint, pause. A
boundary's actions depend on the step and the state alone, so a run that was killed
between a boundary and its checkpoint does them again with the same outcome.
"""

import time
from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np

from app.distribution.outstanding_steps import Standstill
from app.training.segments import StepResult
from app.training.signals import PauseRequest
from app.training.state import TrainState
from base.errors import Interrupted


class Trainer(Protocol):
    """Runs segments of training steps, synchronously or not.

    Attributes:
      segment_seconds: how long a segment takes at most.
    """

    segment_seconds: float

    def start_at(self, step: int) -> None:
        """The next segment starts at `step`."""

    def stop(self) -> None:
        """Lets go of what would outlive the training."""

    def run(self, first: int, last: int, sums: np.ndarray) -> StepResult:
        """Trains the steps `first` to `last - 1`, or up to one that is not finite."""

    def take_staleness(self) -> np.ndarray | None:
        """Steps since the last call by their staleness; None where there is none."""

    def standstill(self) -> Standstill | None:
        """Steps that others owe; None while they owe none."""


class Action(Protocol):
    """Something that is due at some steps."""

    def next_after(self, step: int) -> int:
        """The next step beyond `step` at which it may be due."""

    def act(self, state: TrainState, speed: "Speed") -> None:
        """Does it, if it is due at the state's step."""


class Speed:
    """Examples per second and the share of time spent waiting for data.

    Attributes:
      examples: trained since the last `restart`, but for the segment that compiled.
      seconds: that this took.
      waited: seconds of them in which the step waited for data.
    """

    def __init__(self) -> None:
        self.restart()

    def restart(self) -> None:
        """Counts from nothing: after an evaluation."""
        self.examples = 0
        self.seconds = 0.0
        self.waited = 0.0

    def add(self, examples: int, seconds: float, waited: float) -> None:
        """Adds a segment."""
        self.examples += examples
        self.seconds += seconds
        self.waited += waited

    @property
    def examples_per_second(self) -> float:
        """0 before anything was measured."""
        return self.examples / self.seconds if self.seconds else 0.0

    @property
    def input_wait(self) -> float:
        """Fraction of the time, 0 to 1."""
        return min(1.0, self.waited / self.seconds) if self.seconds else 0.0


class Loop:
    """Trains from the state's step to the last one.

    Args:
      trainer: runs segments.
      state: what is trained.
      actions: in the order in which they are to run at a boundary.
      batch_size: examples in a step.
      last_step: of the training.
      pause: set when a signal asks for a pause.
      pause_at: the step to pause at, or None.
      grace: seconds in which a pause has to be reached.
      on_segment: told after each segment: the state, its loss, the speed.
      on_nonfinite: told of a segment that ended in a value that is not finite.
    """

    def __init__(
        self,
        *,
        trainer: Trainer,
        state: TrainState,
        actions: Sequence[Action],
        batch_size: int,
        last_step: int,
        pause: PauseRequest,
        pause_at: int | None,
        grace: float,
        on_segment: Callable[[TrainState, float, Speed], None],
        on_nonfinite: Callable[[StepResult], None],
    ) -> None:
        self._trainer = trainer
        self._state = state
        self._actions = actions
        self._batch_size = batch_size
        self._last_step = last_step
        self._pause = pause
        self._pause_at = last_step if pause_at is None else min(pause_at, last_step)
        self._segment_seconds = min(trainer.segment_seconds, grace / 4)
        self._on_segment = on_segment
        self._on_nonfinite = on_nonfinite
        self._speed = Speed()
        self._steps_per_second = 0.0

    def run(self) -> None:
        """Trains to the end.

        Raises:
          Interrupted: a pause was asked for; the actions have not saved it yet.
        """
        state = self._state
        self._trainer.start_at(state.progress.step)
        self._act()
        while (
            state.progress.step < self._last_step and not state.progress.stopped_early
        ):
            last = self._pause.settle(self._segment_end(state.progress.step))
            self._require_no_pause()
            self._train_segment(last)
            self._act()

    def _act(self) -> None:
        if self._state.progress.step == 0:
            return
        for action in self._actions:
            started = time.monotonic()
            action.act(self._state, self._speed)
            self._state.progress.seconds += time.monotonic() - started

    def _require_no_pause(self) -> None:
        step = self._state.progress.step
        if self._pause.signal is not None:
            raise Interrupted(f"{self._pause.signal.name} received at step {step}")
        if step >= self._pause_at:
            raise Interrupted(f"paused at step {step} by --stop_after")

    def _train_segment(self, last: int) -> None:
        first = self._state.progress.step
        started = time.monotonic()
        result = self._trainer.run(first, last, self._state.sums)
        seconds = time.monotonic() - started
        if not result.finite:
            self._on_nonfinite(result)
        self._state.progress.step = result.step
        self._state.progress.seconds += seconds
        self._state.sums = result.sums
        self._measure(result, result.step - first, seconds)
        self._on_segment(self._state, result.loss, self._speed)

    def _segment_end(self, first: int) -> int:
        """The next boundary, or sooner if that is more than a second away."""
        boundaries = [action.next_after(first) for action in self._actions]
        # The first segment compiles, which tells nothing about the speed.
        most = max(1, int(self._steps_per_second * self._segment_seconds))
        return min(*boundaries, self._last_step, self._pause_at, first + most)

    def _measure(self, result: StepResult, steps: int, seconds: float) -> None:
        if self._steps_per_second == 0.0:
            self._steps_per_second = 1.0 / self._segment_seconds
            return
        # Growing at most eightfold keeps one lucky step from making a long segment.
        measured = steps / max(seconds, 1e-9)
        self._steps_per_second = min(measured, 8 * self._steps_per_second)
        self._speed.add(steps * self._batch_size, seconds, result.input_wait)
