"""What comes out of a search: lines on screen, trials.csv, best.flags, HParams.

The figures are in figures.py. All are written again whenever a search stops, from what
it knows.
"""

import csv
import io
import pathlib
import shutil
import time

from tensorboard.compat.proto import event_pb2, summary_pb2
from tensorboard.plugins.hparams import api as hparams
from tensorboard.plugins.hparams import api_pb2
from tensorboard.plugins.hparams import summary as hparams_summary
from tensorboard.summary.writer.event_file_writer import EventFileWriter

from app.configs import flags
from app.configs.commands import TuneConfig
from app.reporting import figures as figures_of_runs
from app.searching import checks
from app.searching.folder import SearchFolder
from base import files
from tuning import confirmation
from tuning.confirmation import Ranked
from tuning.objective import Objective
from tuning.runs import TrialRun
from tuning.search import Search
from tuning.space import Space

_COLUMNS = ("best_epoch", "epochs", "seconds", "state", "reason")
# Flags of a trial's own, or of one start.
_LEFT_OUT = frozenset({"run_dir", "stop_after", "figures", "progress"})


class Screen:
    """Says what happens in a search."""

    def __init__(
        self, search: Search, objective: Objective, config: TuneConfig
    ) -> None:
        self._search = search
        self._objective = objective
        self._quiet = config.training.progress == "quiet"
        self._tuner = config.search.tuner
        self._best: float | None = None

    def begin(self, path: pathlib.Path) -> None:
        """Says where the search stands at the start."""
        runs = self._search.runs()
        over = sum(run.state in ("finished", "failed") for run in runs)
        where = f"goes on: {len(runs)} trials, {over} of them ended" if runs else "new"
        scores = [run.score for run in runs if run.score is not None]
        if scores:
            self._best = min(scores, key=self._objective.sort_key)
        self._say(
            f"{path}: {self._tuner} for the best {self._objective.tag}"
            f" ({self._objective.direction}) · {where}"
        )

    def tell(self, run: TrialRun) -> None:
        """Says what has become of a run."""
        if run.state == "failed":
            self._say(f"{run.name} failed · {described(run)} · {run.reason}")
            return
        if run.state == "interrupted" or run.score is None:
            self._say(f"{run.name} {run.state} at epoch {run.epochs:g}")
            return
        is_best = not run.confirms and (
            self._best is None or self._objective.is_better(run.score, self._best)
        )
        if is_best:
            self._best = run.score
        self._say(
            f"{run.name} {run.state} at epoch {run.epochs:g} · {self._objective.tag}"
            f" {run.score:.4f} · {described(run)}{' · best so far' * is_best}"
        )

    def finish(self, folder: SearchFolder) -> None:
        """Says who has won, and what to do with it."""
        ranked = self._search.ranking()
        runs = self._search.runs()
        if not ranked:
            self._say(f"No trial of {len(runs)} has a score; see {folder.table}")
            return
        best = ranked[0]
        self._say(
            f"Search finished · {len(runs)} trials ·"
            f" {sum(run.epochs for run in runs):.4g} epochs"
        )
        self._say(f"  best        {best.run.name}: {described(best.run)}")
        self._say(f"  {self._objective.tag} {_score(best)}")
        lucky = confirmation.lucky(ranked, self._objective)
        if lucky:
            self._say(
                f"  by luck     {lucky.run.name} was ahead in the search with"
                f" {lucky.run.score:.4f}, but has {_score(lucky)}"
            )
        self._say(f"  train it    atelier train --flagfile={folder.best_flags}")
        self._say(f"  trials      {folder.table}")
        self._say(f"  figures     {folder.figures}")
        self._say(f"  TensorBoard tensorboard --logdir={folder.tensorboard}")

    def _say(self, text: str) -> None:
        if not self._quiet:
            print(text, flush=True)


def described(run: TrialRun) -> str:
    """The searched flags of a run."""
    return " ".join(f"{name}={value}" for name, value in run.flags.items())


def _score(ranked: Ranked) -> str:
    if ranked.deviation is None:
        return f"{ranked.run.score:.4f} at epoch {ranked.run.best_epoch:g}"
    return (
        f"{ranked.mean:.4f} ± {ranked.deviation:.4f} over {len(ranked.scores)} new"
        f" seeds ({ranked.run.score:.4f} in the search)"
    )


def write_all(
    folder: SearchFolder,
    search: Search,
    objective: Objective,
    config: TuneConfig,
    space: Space,
    threads: int,
) -> None:
    """Writes everything that can be said of the search so far.

    Trials leave their own figures to this: those that are kept get them.
    """
    from app.searching import figures  # here, as a search imports this at its start

    with folder.locked():
        runs, ranked = search.runs(), search.ranking()
        _write_table(folder, runs, ranked, space, objective, over=bool(search.ended()))
        if ranked:
            _write_best(folder, ranked[0], config, objective, threads)
            figures.draw(runs, ranked, objective, space, folder.figures)
        if config.training.figures:
            for entry in ranked[: config.search.keep]:
                figures_of_runs.draw_training(folder.trial(entry.run.name).path)
        _write_hparams(folder, runs, objective, space)


def _write_table(
    folder: SearchFolder,
    runs: list[TrialRun],
    ranked: list[Ranked],
    space: Space,
    objective: Objective,
    *,
    over: bool,
) -> None:
    """trials.csv: a row for each trial, in the order of their beginning."""
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    names = [dimension.name for dimension in space]
    table.writerow(("trial", "rank", *names, objective.tag, *_COLUMNS))
    ranks = {entry.run.name: rank for rank, entry in enumerate(ranked, 1)}
    for run in runs:
        # What is paused when all is over was given up for better ones.
        state = "stopped" if over and run.state == "paused" else run.state
        table.writerow(
            [run.name, ranks.get(run.name, "")]
            + [run.flags.get(name, "") for name in names]
            + [run.score, run.best_epoch, run.epochs, run.seconds, state, run.reason]
        )
    files.write_text(folder.table, text.getvalue())


def _write_best(
    folder: SearchFolder,
    best: Ranked,
    config: TuneConfig,
    objective: Objective,
    threads: int,
) -> None:
    """best.flags: what trains the winner again, to the same weights."""
    run_dir = folder.path / "best"
    seed = folder.trial(best.run.name).read_config().training.seed
    made = checks.trial_config(
        config, best.run.flags, run_dir=str(run_dir), seed=seed, threads=threads
    )
    head = (
        f"# Trial {best.run.name}: {objective.tag} {_score(best)}.\n"
        "# atelier train --flagfile=THIS_FILE\n"
    )
    text = head + f"--run_dir={run_dir}\n" + flags.to_text(made, leave_out=_LEFT_OUT)
    files.write_text(folder.best_flags, text)


def _write_hparams(
    folder: SearchFolder, runs: list[TrialRun], objective: Objective, space: Space
) -> None:
    """What TensorBoard's HParams tab shows, anew: the searched flags and the score."""
    shutil.rmtree(folder.tensorboard, ignore_errors=True)
    if not runs:
        return
    config = hparams.hparams_config_pb(
        hparams=[hparams.HParam(dimension.name) for dimension in space],
        metrics=[hparams.Metric(objective.tag)],
    )
    _write_events(folder.tensorboard, [(0, config)])
    for run in runs:
        shown = {
            name: value if isinstance(value, bool | int | float | str) else "none"
            for name, value in run.flags.items()
        }
        status = {
            "finished": api_pb2.STATUS_SUCCESS,
            "failed": api_pb2.STATUS_FAILURE,
        }.get(run.state, api_pb2.STATUS_UNKNOWN)
        start = hparams.hparams_pb(shown, trial_id=run.name)
        events = [(0, start), (0, hparams_summary.session_end_pb(status))]
        events += [
            (round(epoch), _scalar(objective.tag, value))
            for epoch, value in run.history
        ]
        _write_events(folder.tensorboard / run.name, events)


def _scalar(tag: str, value: float) -> summary_pb2.Summary:
    return summary_pb2.Summary(
        value=[summary_pb2.Summary.Value(tag=tag, simple_value=value)]
    )


def _write_events(
    folder: pathlib.Path, summaries: list[tuple[int, summary_pb2.Summary]]
) -> None:
    writer = EventFileWriter(str(folder))
    for step, summary in summaries:
        # The HParams plugin makes TensorFlow's messages, the writer takes its own.
        own = summary_pb2.Summary.FromString(summary.SerializeToString())
        writer.add_event(event_pb2.Event(wall_time=time.time(), step=step, summary=own))
    writer.close()
