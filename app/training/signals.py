"""Signals that ask for a pause: they set a flag, and the loop saves at its boundary."""

import contextlib
import os
import signal
import types
from collections.abc import Iterator

_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1)


class PauseRequest:
    """Set by SIGTERM, SIGINT or SIGUSR1.

    A second signal changes nothing, so that it does no harm to the save; a third kills.
    Install it after tf.distribute's strategy: creating MultiWorkerMirroredStrategy
    makes the process swallow SIGTERM.
    """

    def __init__(self) -> None:
        self.signal: signal.Signals | None = None
        self._count = 0

    @contextlib.contextmanager
    def installed(self) -> Iterator[None]:
        """Within it the signals are this request's, and afterwards whose they were.

        Once a pause was asked for they are ignored instead: what there is to save is
        saved, and while Python takes itself down a second signal must not turn the exit
        status into a signal's. Python keeps an ignored signal ignored to its very end.
        """
        before = {}
        for number in _SIGNALS:
            before[number] = signal.signal(number, self._receive)
        try:
            yield
        finally:
            for number, handler in before.items():
                paused = self.signal is not None
                signal.signal(number, signal.SIG_IGN if paused else handler)

    def _receive(self, number: int, _: types.FrameType | None) -> None:
        self._count += 1
        self.signal = signal.Signals(number)
        if self._count >= 3:
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)
