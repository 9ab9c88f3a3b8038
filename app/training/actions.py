"""What is done at boundaries: evaluate and log, checkpoint."""

import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from app.training import memory
from app.training.boundaries import Boundaries
from app.training.checkpoints import Snapshot
from app.training.evaluation import EvaluationAbandoned, Evaluator
from app.training.listeners import CheckpointWriter
from app.training.loop import Speed
from app.training.signals import PauseRequest
from app.training.state import Progress, TrainState
from base.errors import Interrupted, NonFinite
from models.metrics import Metrics

Line = dict[str, float]


class Evaluate:
    """Evaluates the validation sets, logs a line, keeps the best, stops early.

    Args:
      boundaries: where it is due.
      evaluators: of the validation sets, by their prefix in the line.
      metrics: turns the training examples' sums into metrics.
      better: whether a line of metrics is better than another.
      patience: evaluations without a better one before the training stops, or None.
      examples_per_epoch: of the training's order.
      batch_size: examples in a step.
      pause: an evaluation is given up for it, and done again on resume.
      listeners: told each line, in order.
      measured: what else was measured up to a step, for its line.
    """

    def __init__(
        self,
        *,
        boundaries: Boundaries,
        evaluators: Mapping[str, Evaluator],
        metrics: Metrics,
        better: Callable[[Line, Line], bool],
        patience: int | None,
        examples_per_epoch: int,
        batch_size: int,
        pause: PauseRequest,
        listeners: Sequence[Callable[[Line], None]],
        measured: Callable[[int], Line] = lambda step: {},
    ) -> None:
        self._boundaries = boundaries
        self._evaluators = evaluators
        self._metrics = metrics
        self._better = better
        self._patience = patience
        self._examples_per_epoch = examples_per_epoch
        self._batch_size = batch_size
        self._pause = pause
        self._listeners = listeners
        self._measured = measured

    def next_after(self, step: int) -> int:
        """The next step at which an evaluation is due."""
        return self._boundaries.next_after(step)

    def act(self, state: TrainState, speed: Speed) -> None:
        """Evaluates, if it is due and was not done before the run was killed.

        Raises:
          Interrupted: a pause was asked for meanwhile.
          NonFinite: the validation loss is not finite.
        """
        step = state.progress.step
        if state.progress.evaluated_step >= step or not self._boundaries.is_due(step):
            return
        line = self._line(state, speed)
        self._judge(state.progress, line)
        state.sums = np.zeros_like(state.sums)
        state.progress.evaluated_step = step
        speed.restart()
        for listener in self._listeners:
            listener(line)

    def _line(self, state: TrainState, speed: Speed) -> Line:
        """What metrics.jsonl says of this step."""
        progress = state.progress
        training = self._metrics.results(state.sums)
        validation = self._evaluate(state)
        examples = progress.step * self._batch_size
        return {
            "step": progress.step,
            "epoch": round(examples / self._examples_per_epoch, 4),
            "examples": examples,
            "seconds": round(progress.seconds, 3),
            **{f"train/{name}": value for name, value in training.items()},
            **validation,
            **state.learning_rates(),
            "examples_per_second": round(speed.examples_per_second, 1),
            "input_wait": round(speed.input_wait, 4),
            **memory.peaks(),
            **self._measured(progress.step),
        }

    def _evaluate(self, state: TrainState) -> Line:
        metrics: Line = {}
        try:
            with state.averaged():
                for prefix, evaluator in self._evaluators.items():
                    found = evaluator.evaluate(paused=self._pause.is_asked)
                    metrics |= {f"{prefix}/{name}": v for name, v in found.items()}
        except EvaluationAbandoned:
            name = self._pause.signal.name if self._pause.signal else "a signal"
            step = state.progress.step
            raise Interrupted(
                f"{name} received during the evaluation at step {step}"
            ) from None
        bad = [name for name, value in metrics.items() if not math.isfinite(value)]
        if bad:
            raise NonFinite(
                f"the evaluation at step {state.progress.step} gave a {bad[0]} of"
                f" {metrics[bad[0]]}; lower --learning_rate or set --clip_norm"
            )
        return metrics

    def _judge(self, progress: Progress, line: Line) -> None:
        """Keeps the last and the best evaluation, and the count since the best."""
        progress.last = line
        if progress.best_step < 0 or self._better(line, progress.best):
            progress.best_step, progress.best = progress.step, line
            progress.evaluations_since_best = 0
        else:
            progress.evaluations_since_best += 1
        if self._patience is not None:
            progress.stopped_early = progress.evaluations_since_best >= self._patience


class LogNorms:
    """Logs the norms of weights and gradients by variable.

    Args:
      boundaries: where it is due.
      norms: gives them at a step, by tag.
      listener: told the step and the norms.
    """

    def __init__(
        self,
        *,
        boundaries: Boundaries,
        norms: Callable[[int], Line],
        listener: Callable[[int, Line], None],
    ) -> None:
        self._boundaries = boundaries
        self._norms = norms
        self._listener = listener

    def next_after(self, step: int) -> int:
        """The next step at which it is due."""
        return self._boundaries.next_after(step)

    def act(self, state: TrainState, speed: Speed) -> None:
        """Logs, if it is due; again at the step that a run resumes from."""
        del speed
        step = state.progress.step
        if self._boundaries.is_due(step):
            self._listener(step, self._norms(step))


class Checkpoint:
    """Saves the state at its boundaries, at a new best and at the end.

    Args:
      boundaries: where it is due.
      writer: writes in the background.
      saved_step: the step of the checkpoint that the run resumed from, or -1.
    """

    def __init__(
        self,
        *,
        boundaries: Boundaries,
        writer: CheckpointWriter,
        saved_step: int,
    ) -> None:
        self._boundaries = boundaries
        self._writer = writer
        self._saved_step = saved_step

    def next_after(self, step: int) -> int:
        """The next step at which a checkpoint is due."""
        return self._boundaries.next_after(step)

    def act(self, state: TrainState, speed: Speed) -> None:
        """Saves, if it is due.

        Raises:
          Interrupted: the checkpoint before could not be written.
        """
        del speed
        progress = state.progress
        due = self._boundaries.is_due(progress.step)
        if due or progress.best_step == progress.step or progress.stopped_early:
            self.save(state)

    def save(self, state: TrainState, *, again: bool = False) -> None:
        """Saves now, unless this very step is saved already.

        Args:
          state: of the run.
          again: whether this step's last write has failed.
        """
        if again or state.progress.step > self._saved_step:
            self._writer.wait()  # it may still write what the next copy goes over
            self._writer.write(Snapshot(state.arrays(), snapshot_of(state.progress)))
            self._saved_step = state.progress.step


def snapshot_of(progress: Progress) -> Progress:
    """A copy that the loop does not change while it is written."""
    return Progress.from_json(progress.to_json())
