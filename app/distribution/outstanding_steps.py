"""What the chief of parameter servers has dealt, and which worker has it.

TensorFlow's coordinator gives closures to whichever worker is free and says nothing of
it. A closure that a worker never ends is waited for without end, so somebody has to
look: see `servers.Watch`.
"""

import contextlib
import dataclasses
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import tensorflow as tf

from app.distribution import tf_internals


@dataclasses.dataclass(frozen=True)
class Standstill:
    """Steps that were dealt and have not ended.

    Attributes:
      seconds: since a step of any worker ended.
      held: by the worker's number, its first step, the one before which it stops, and
        the one it is at.
    """

    seconds: float
    held: Mapping[int, tuple[int, int, int]]


class OutstandingSteps:
    """Which worker has which chunk of steps in hand, and when a step ended last.

    The coordinator's threads tell, one for each worker; the thread that deals tells how
    many steps of each chunk have ended; any thread may ask.

    Args:
      coordinator: whose closures' first arguments are (slot, first step, last step).
    """

    def __init__(
        self, coordinator: tf.distribute.coordinator.ClusterCoordinator
    ) -> None:
        self._lock = threading.Lock()
        self._held: dict[int, tuple[int, int, int]] = {}
        self._done: tuple[int, ...] = ()
        self._ended: float | None = None
        tf_internals.watch_closures(coordinator, self._hold)

    @contextlib.contextmanager
    def dealing(self) -> Iterator[None]:
        """Within it steps are waited for."""
        with self._lock:
            self._done, self._ended = (), time.monotonic()
        try:
            yield
        finally:
            with self._lock:
                self._ended = None

    def seen(self, done: tuple[int, ...]) -> None:
        """Takes the number of steps that have ended, for each slot."""
        with self._lock:
            if done != self._done:
                self._done, self._ended = done, time.monotonic()

    def standstill(self) -> Standstill | None:
        """What is waited for; None while nothing is."""
        with self._lock:
            if self._ended is None:
                return None
            done = dict(enumerate(self._done))
            held = {
                worker: (first, last, first + done.get(slot, 0))
                for worker, (slot, first, last) in sorted(self._held.items())
            }
            return Standstill(time.monotonic() - self._ended, held)

    def _hold(
        self, worker: int, arguments: Sequence[Any], process: Callable[[], None]
    ) -> None:
        slot, first, last = (int(value) for value in arguments)
        with self._lock:
            self._held[worker] = (slot, first, last)
        try:
            process()
        finally:
            with self._lock:
                self._held.pop(worker, None)
