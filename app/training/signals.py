"""Signals that ask for a pause: they set a flag, and the loop saves at its boundary."""

import contextlib
import os
import signal
import threading
import types
from collections.abc import Callable, Iterator
from typing import Any

_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1)
# Above every signal's number.
_SPAN = 128


class PauseRequest:
    """Set by SIGTERM, SIGINT or SIGUSR1.

    A second signal changes nothing, so that it does no harm to the save; a third does
    what it did before, or kills where the process is a command's. Install it after
    tf.distribute's strategy: creating MultiWorkerMirroredStrategy makes the process
    swallow SIGTERM.

    Attributes:
      signal: what asked for a pause, here or at another worker; None before.
    """

    def __init__(
        self, all_of: Callable[[int], list[int]] = lambda value: [value]
    ) -> None:
        """Takes what tells each worker's number to all: see `Agreement.all_of`."""
        self.signal: signal.Signals | None = None
        self._received = 0
        self._all_of = all_of
        self._count = 0
        self._at_last: dict[int, Any] = {}

    def settle(self, step: int) -> int:
        """The least of the workers' steps; `signal` is then the same on all of them.

        Every worker has to call it as often as the others.
        """
        said = self._all_of(step * _SPAN + self._received)
        received = max(value % _SPAN for value in said)
        if received and self.signal is None:
            self.signal = signal.Signals(received)
        return min(value // _SPAN for value in said)

    def is_asked(self) -> bool:
        """Whether a pause was asked for at any worker, who all have to ask this."""
        self.settle(0)
        return self.signal is not None

    @contextlib.contextmanager
    def installed(self, ends_process: bool = False) -> Iterator[None]:
        """Within it the signals are this request's, and afterwards whose they were.

        Where the process ends with it they are ignored once a pause was asked for: what
        there is to save is saved, and while Python takes itself down a second signal
        must not turn the exit status into a signal's. Python keeps an ignored signal
        ignored to its very end. Off the main thread no signal can be had: none is.
        """
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before: dict[int, Any] = {}
        for number in _SIGNALS:
            handler = signal.signal(number, self._receive)
            # None is a handler that Python did not install, and cannot put back.
            before[number] = signal.SIG_DFL if handler is None else handler
        for number in _SIGNALS:
            self._at_last[number] = signal.SIG_DFL if ends_process else before[number]
        try:
            yield
        finally:
            paused = self._received or self.signal is not None
            ignored = ends_process and paused
            for number in _SIGNALS:
                signal.signal(number, signal.SIG_IGN if ignored else before[number])

    def _receive(self, number: int, _: types.FrameType | None) -> None:
        self._count += 1
        self._received = number
        if self._count >= 3:
            signal.signal(number, self._at_last[number])
            os.kill(os.getpid(), number)
