"""Where the compiled loop comes back to Python: the steps at which something is due."""

import math
import time

from app.configs.training import Interval


def step_of_epoch(epoch: float, steps_per_epoch: float) -> int:
    """The first step at which `epoch` epochs are done: each example was seen."""
    # Rounding guards against 0.1 * 3 > 0.3: a boundary must not slip a step.
    return max(1, math.ceil(round(epoch * steps_per_epoch, 6)))


class Boundaries:
    """Multiples of an interval, as steps; the last step is one too.

    Args:
      interval: in epochs, steps or minutes.
      steps_per_epoch: need not be whole.
      last_step: of the training.
    """

    def __init__(
        self, interval: Interval, steps_per_epoch: float, last_step: int
    ) -> None:
        self._interval = interval
        self._steps_per_epoch = steps_per_epoch
        self._last_step = last_step
        self._due_time = self._next_time()

    def next_after(self, step: int) -> int:
        """The next boundary beyond `step`; minutes know none before the last step."""
        if self._interval.unit == "m":
            return self._last_step
        index = 0 if step == 0 else math.floor(step / self._length()) - 1
        while (boundary := self._at(max(index, 1))) <= step:
            index += 1
        return min(boundary, self._last_step)

    def is_due(self, step: int) -> bool:
        """Whether `step` is a boundary, or the minutes have passed."""
        if step == self._last_step:
            return True
        if self._interval.unit == "m":
            if time.monotonic() < self._due_time:
                return False
            self._due_time = self._next_time()
            return True
        return step > 0 and self.next_after(step - 1) == step

    def _length(self) -> float:
        per_unit = 1.0 if self._interval.unit == "s" else self._steps_per_epoch
        return self._interval.amount * per_unit

    def _at(self, index: int) -> int:
        if self._interval.unit == "s":
            return round(index * self._interval.amount)
        return step_of_epoch(index * self._interval.amount, self._steps_per_epoch)

    def _next_time(self) -> float:
        return time.monotonic() + 60 * self._interval.amount
