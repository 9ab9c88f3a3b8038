"""One start of a run, from where its folder is to a pause or the end."""

import contextlib
from typing import Any

import numpy as np
import tensorflow as tf

from app.configs.training import Interval
from app.distribution.agreement import Agreement
from app.distribution.outstanding_steps import Standstill
from app.runs import validation_sets
from app.runs.assembly import Parts, make_trainer, trainer_parts
from app.runs.data import require_same_data
from app.runs.folder import RunFolder, Start, decide_start
from app.runs.journal import Journal
from app.runs.results import Results, better_by
from app.training import checkpoints, nonfinite
from app.training.actions import Checkpoint, Evaluate, LogNorms
from app.training.boundaries import Boundaries, step_of_epoch
from app.training.inspection import Inspector
from app.training.listeners import Listener, SilentListener, SilentWriter
from app.training.loop import Action, Loop
from app.training.segments import StepResult
from app.training.signals import PauseRequest
from app.training.state import TrainState, weights_sha256
from base import files
from base.errors import (
    DiskFailure,
    Interrupted,
    NonFinite,
    Paused,
    TrainingFailed,
    UnreadableExample,
)
from models.description import layer_table

# Steps that a stream may be ahead of the one that is trained.
_READ_AHEAD = 64


class Run:
    """One start of a run: from where the folder is to a pause or the end."""

    def __init__(self, folder: RunFolder, parts: Parts) -> None:
        self._folder = folder
        self._config = config = parts.config
        self._parts = parts
        self._state = TrainState(
            parts.network.model,
            parts.algorithm.players,
            parts.network.metrics.size,
        )
        self._results = Results.read(folder)
        self._agreement = Agreement(parts.strategy, parts.cluster)
        self._pause = PauseRequest(self._agreement.all_of)
        self._writer = (
            checkpoints.Writer(folder.checkpoints, config.training.keep_checkpoints)
            if parts.cluster.is_chief
            else SilentWriter()
        )
        self._trainer = make_trainer(parts)
        self._inspector = Inspector(trainer_parts(parts))

    @property
    def step(self) -> int:
        """The last step that was done."""
        return self._state.progress.step

    def standstill(self) -> Standstill | None:
        """Steps that workers of parameter servers owe; None while they owe none."""
        return self._trainer.standstill()

    def go(self, changed: dict[str, list[Any]], ends_process: bool) -> None:
        """Trains from where the folder is.

        Raises:
          Paused: it was asked for, and is saved.
          TrainingFailed: the run cannot go on.
        """
        start = self._begin() if self._parts.cluster.is_chief else self._follow()
        step = self.step
        self._results.start(
            resumed=start is not Start.FRESH, network=self._parts.network
        )
        self._write_results()
        journal = self._open_journal(start)
        with contextlib.closing(journal):
            journal.record_start(step, changed)
            checkpoint = Checkpoint(
                boundaries=self._boundaries(self._config.training.checkpoint_every),
                writer=self._writer,
                saved_step=step if start is Start.RESUME else -1,
            )
            with self._pause.installed(ends_process):
                self._train(journal, checkpoint, start)
            self._end("finished")
            journal.finish()
        self._agreement.part()

    def _open_journal(self, start: Start) -> Listener:
        if not self._parts.cluster.is_chief:
            return SilentListener()
        return Journal(
            self._folder,
            self._config,
            start,
            step=self.step,
            evaluated_step=self._state.progress.evaluated_step,
            last_step=self._parts.last_step,
        )

    def _train(self, journal: Listener, checkpoint: Checkpoint, start: Start) -> None:
        """Runs the loop; pauses and failures are recorded in results.json."""
        try:
            if start is not Start.RESUME:
                table = layer_table(self._parts.network.model)
                journal.show_model(table, self._inspector)
            self._loop(journal, checkpoint).run()
            self._writer.wait()
        except Interrupted as reason:
            self._save_and_pause(checkpoint, reason)
        except TrainingFailed:
            self._end("failed")
            raise
        except tf.errors.InvalidArgumentError as error:
            raise self._unreadable(error) from error
        finally:
            self._trainer.stop()
            self._writer.close()

    def _unreadable(self, error: tf.errors.OpError) -> Exception:
        """Names the record that a stream failed at; the error itself if there is none.

        A stream reads ahead of the step.
        """
        step = self._state.progress.step
        found = self._parts.feed.find_bad_example(step, step + _READ_AHEAD)
        for one in self._parts.validation.values():
            found = found or one.dataset.find_bad_example(one.split)
        if found is None:
            return error
        self._end("failed")
        return UnreadableExample(found)

    def _begin(self) -> Start:
        """Decides where to start from, and takes the state over."""
        folder = self._folder
        checkpoints.clean(folder.checkpoints)
        snapshot = checkpoints.load_newest(folder.checkpoints, print)
        start = decide_start(folder, has_checkpoint=snapshot is not None)
        if start is not Start.FRESH:
            now = self._parts.description["splits"]
            require_same_data(folder, self._config, now)
        if snapshot is not None:
            self._state.restore(snapshot.arrays, snapshot.progress)
        checkpoints.remove_after(folder.checkpoints, self._state.progress.step)
        if start is not Start.RESUME:
            folder.write_config(self._config)
            files.write_json(folder.dataset, self._parts.description)
        print(self._announcement(start), *self._parts.notes, sep="\n", flush=True)
        self._agreement.all_of(self.step if snapshot is not None else -1)
        return start

    def _follow(self) -> Start:
        """Takes over the checkpoint that the chief found whole."""
        step, *_ = self._agreement.all_of(0)
        if step < 0:
            return Start.FRESH
        snapshot = checkpoints.load(checkpoints.path_of(self._folder.checkpoints, step))
        self._state.restore(snapshot.arrays, snapshot.progress)
        return Start.RESUME

    def _announcement(self, start: Start) -> str:
        step, path = self._state.progress.step, self._folder.path
        if start is Start.FRESH:
            return f"{path}: a fresh run of {self._parts.last_step} steps"
        if start is Start.RESTART:
            lost = self._results.values.get("steps") or 0
            return (
                f"{path}: no whole checkpoint, so the run starts again from step 0"
                f" (it had reached at least step {lost})"
            )
        return f"{path}: resumes at step {step} of {self._parts.last_step}"

    def _loop(self, journal: Listener, checkpoint: Checkpoint) -> Loop:
        training = self._config.training
        pause_at = None
        if training.stop_after is not None:
            steps_per_epoch = self._parts.order.steps_per_epoch
            pause_at = step_of_epoch(training.stop_after, steps_per_epoch)
        return Loop(
            trainer=self._trainer,
            state=self._state,
            actions=self._actions(journal, checkpoint),
            batch_size=self._config.data.batch_size,
            last_step=self._parts.last_step,
            pause=self._pause,
            pause_at=pause_at,
            grace=training.grace,
            on_segment=journal.segment,
            on_nonfinite=self._fail,
        )

    def _actions(self, journal: Listener, checkpoint: Checkpoint) -> tuple[Action, ...]:
        """What is done at boundaries, in this order."""
        actions: list[Action] = [self._evaluate(journal)]
        if self._config.training.log_norms:
            actions.append(
                LogNorms(
                    boundaries=self._boundaries(self._config.training.evaluate_every),
                    norms=self._inspector.norms,
                    listener=journal.norms,
                )
            )
        return (*actions, checkpoint)

    def _evaluate(self, journal: Listener) -> Evaluate:
        parts, training = self._parts, self._config.training
        return Evaluate(
            boundaries=self._boundaries(training.evaluate_every),
            evaluators=validation_sets.make_evaluators(
                parts.validation,
                parts.strategy,
                parts.network,
                self._config.data.batch_size,
                parts.cluster,
                parts.copy,
            ),
            metrics=parts.network.metrics,
            better=better_by(training.monitor, parts.network, [*parts.validation]),
            patience=training.early_stopping,
            examples_per_epoch=parts.order.epoch_size,
            batch_size=self._config.data.batch_size,
            pause=self._pause,
            listeners=(journal.evaluated,),
            measured=lambda step: self._staleness(journal, step),
        )

    def _staleness(self, journal: Listener, step: int) -> dict[str, float]:
        """What metrics.jsonl says of it, where steps are asynchronous."""
        counts = self._trainer.take_staleness()
        if counts is None:
            return {}
        journal.staleness(step, counts)
        mean = float(counts @ np.arange(len(counts)) / max(1.0, counts.sum()))
        return {"staleness": round(mean, 4)}

    def _boundaries(self, interval: Interval) -> Boundaries:
        steps_per_epoch = self._parts.order.steps_per_epoch
        return Boundaries(interval, steps_per_epoch, self._parts.last_step)

    def _save_and_pause(self, checkpoint: Checkpoint, reason: Interrupted) -> None:
        step = self._state.progress.step
        if step > 0:
            checkpoint.save(self._state, again=isinstance(reason, DiskFailure))
            self._writer.wait()
        self._end("interrupted")
        self._agreement.part()
        # A disk that failed stays one; any other reason is a pause, which is saved.
        kind = Paused if type(reason) is Interrupted else type(reason)
        raise kind(
            f"{reason}; saved at step {step} of {self._parts.last_step} in"
            f" {self._folder.path}: the same command goes on"
        )

    def _end(self, state: str) -> None:
        steps_per_epoch = self._parts.order.steps_per_epoch
        self._results.end(state, self._state, steps_per_epoch)
        if state == "finished":
            with self._state.averaged():
                digest = weights_sha256(self._state.model)
            self._results.values["weights_sha256"] = digest
            if not self._parts.cluster.is_chief:
                print(f"weights_sha256 here: {digest}", flush=True)
        self._write_results()

    def _write_results(self) -> None:
        if self._parts.cluster.is_chief:
            self._results.write(self._folder)

    def _fail(self, result: StepResult) -> None:
        """Says where a value first was not finite."""
        batch = self._inspector.batch_of(result.step)
        culprit = nonfinite.culprit(
            self._parts.algorithm,
            batch,
            seed=self._config.training.seed,
            step=result.step,
        )
        self._writer.close()
        steps = checkpoints.steps_of(self._folder.checkpoints)
        good = f"that of step {steps[-1]}" if steps else "none"
        raise NonFinite(
            f"step {result.step} gave a loss of {result.loss:g}: {culprit} was the"
            f" first that was not finite; last good checkpoint: {good}; lower"
            " --learning_rate or set --clip_norm, in a new --run_dir"
        )
