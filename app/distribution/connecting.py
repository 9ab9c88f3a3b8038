"""Names the task that is lost while TensorFlow connects to it, and ends the wait.

TensorFlow waits for such a task without end and holds Python's lock, so that neither a
thread nor a signal handler of this process can say anything. A process of its own can:
`bounded` starts it, as a program that imports the standard library alone.
"""

import contextlib
import os
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence

# How a client of HTTP/2 begins, with no settings; a server that runs sends its own.
_GREETING = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes([0, 0, 0, 4, 0, 0, 0, 0, 0])
_PROBE = 2.0


@contextlib.contextmanager
def bounded(tasks: Mapping[str, str], seconds: float) -> Iterator[None]:
    """Within it the process is killed by SIGALRM after so long, whatever holds Python.

    Before that a line on the error output names those of `tasks` that do not answer.

    Args:
      tasks: the address of each other task, `host:port`, by its name.
      seconds: that connecting may take.
    """
    named = [text for task in tasks.items() for text in task]
    program = [sys.executable, "-I", __file__, str(os.getpid()), str(seconds), *named]
    # Another of its process group's signals, such as Ctrl-C's, is not for it.
    # Its input ends here or with this process, and it with its input.
    with subprocess.Popen(program, stdin=subprocess.PIPE, start_new_session=True):
        yield


def watch(process: int, seconds: float, tasks: Mapping[str, str]) -> None:
    """Ends `process`, naming the tasks that do not answer, unless it connects in time.

    Args:
      process: its id.
      seconds: that it has.
      tasks: as of `bounded`.
    """
    if select.select([sys.stdin], [], [], seconds)[0]:
        return
    lost = [name for name, address in tasks.items() if not _answers(address)]
    who = " and ".join(lost) or f"one of {', '.join(tasks)}"
    print(
        f"atelier: lost while TensorFlow connected to it: {who}; no connection within"
        f" {seconds:g} s; no step was done: the same command on all tasks goes on from"
        " the last checkpoint",
        file=sys.stderr,
        flush=True,
    )
    with contextlib.suppress(ProcessLookupError):
        os.kill(process, signal.SIGALRM)


def _answers(address: str) -> bool:
    """Whether a server at `address` greets; the kernel connects to one that hangs."""
    host, _, port = address.rpartition(":")
    try:
        with socket.create_connection((host.strip("[]"), int(port)), _PROBE) as one:
            one.settimeout(_PROBE)
            one.sendall(_GREETING)
            return bool(one.recv(1))
    except OSError:
        return False


def _main(arguments: Sequence[str]) -> None:
    process, seconds, *named = arguments
    watch(int(process), float(seconds), dict(zip(named[::2], named[1::2], strict=True)))


if __name__ == "__main__":
    _main(sys.argv[1:])
