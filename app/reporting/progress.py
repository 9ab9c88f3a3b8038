"""What a training run shows on screen: a bar on a terminal, plain lines elsewhere.

Imports neither TensorFlow nor NumPy.
"""

import sys
import time
from collections.abc import Mapping
from typing import Any, TextIO

import tqdm

# Seconds between two plain lines about steps: a job's log has to stay readable.
_LINE_EVERY = 10.0
_MODES = ("auto", "bar", "lines", "quiet")
_BAR_FORMAT = (
    "{percentage:3.0f}% |{bar}| step {n_fmt}/{total_fmt}{postfix} · {remaining} left"
)


class ProgressDisplay:
    """Tells how far the training is; close it, or use it in a `with`.

    Args:
      total_steps: of the whole training.
      first_step: where this start begins.
      mode: `auto` (a bar where `stream` is a terminal or a notebook, lines elsewhere),
        `bar`, `lines` or `quiet`, which prints nothing at all.
      stream: where it is shown; standard output by default.
    """

    def __init__(
        self,
        total_steps: int,
        *,
        first_step: int = 0,
        mode: str = "auto",
        stream: TextIO | None = None,
    ) -> None:
        if mode not in _MODES:
            raise ValueError(f"mode is one of {', '.join(_MODES)}, got {mode!r}")
        self._stream = sys.stdout if stream is None else stream
        if mode == "auto":
            mode = "bar" if _shows_a_bar(self._stream) else "lines"
        self._mode = mode
        self._total_steps = total_steps
        self._first_step = self._step = first_step
        self._started = self._last_line = time.monotonic()
        self._bar = self._make_bar() if mode == "bar" else None

    def __enter__(self) -> "ProgressDisplay":
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Leaves the bar as it stands."""
        if self._bar is not None:
            self._bar.close()

    def update(
        self, step: int, loss: float, examples_per_second: float, input_wait: float
    ) -> None:
        """Tells of steps done.

        Args:
          step: steps done since the beginning of the training.
          loss: of the latest step.
          examples_per_second: 0 where it is not measured yet.
          input_wait: fraction of the time spent waiting for data.
        """
        self._step = step
        speed = f"{examples_per_second:,.0f} examples/s"
        state = f"loss {loss:.4f} · {speed} · input wait {input_wait:.0%}"
        if self._bar is not None:
            self._bar.set_postfix_str(f"· {state}", refresh=False)
            self._bar.update(step - self._bar.n)
        elif time.monotonic() - self._last_line >= _LINE_EVERY:
            left = _duration(self.seconds_left())
            self.say(f"step {step:,}/{self._total_steps:,} · {state} · {left} left")

    def evaluated(self, line: Mapping[str, Any]) -> None:
        """Tells of an evaluation: `line` is a line of metrics.jsonl."""
        metrics = " · ".join(
            f"{tag.replace('/', ' ')} {line[tag]:.4f}"
            for tag in line
            if "/" in tag
            and not tag.endswith("/examples")
            and isinstance(line[tag], int | float)
        )
        self._step = int(line["step"])
        self.say(
            f"epoch {line['epoch']:g} · step {self._step:,}/{self._total_steps:,}"
            f" · {metrics}{self._pace(line)}"
        )

    def say(self, text: str) -> None:
        """Prints a line without harm to the bar; nothing in `quiet`."""
        if self._bar is not None:
            self._bar.write(text, file=self._stream)
        elif self._mode == "lines":
            print(text, file=self._stream, flush=True)
        self._last_line = time.monotonic()

    def seconds_left(self) -> float | None:
        """Until the last step, at this start's pace so far; None before a step."""
        done = self._step - self._first_step
        if done <= 0:
            return None
        pace = (time.monotonic() - self._started) / done
        return pace * (self._total_steps - self._step)

    def _pace(self, line: Mapping[str, Any]) -> str:
        """Speed and time left, which the bar shows already."""
        if self._mode == "bar" or "examples_per_second" not in line:
            return ""
        return (
            f" · {line['examples_per_second']:,.0f} examples/s"
            f" · input wait {line['input_wait']:.0%}"
            f" · {_duration(self.seconds_left())} left"
        )

    def _make_bar(self) -> tqdm.tqdm:
        return tqdm.tqdm(
            total=self._total_steps,
            initial=self._first_step,
            file=self._stream,
            bar_format=_BAR_FORMAT,
            dynamic_ncols=True,
            smoothing=0.05,
        )


def _shows_a_bar(stream: TextIO) -> bool:
    """Whether a line can be written over: on a terminal, or in a notebook's output."""
    return stream.isatty() or type(stream).__module__.startswith("ipykernel.")


def _duration(seconds: float | None) -> str:
    """As `mm:ss` or `h:mm:ss`; `?` if it is not known."""
    return "?" if seconds is None else tqdm.tqdm.format_interval(seconds)
