"""The figures of a search: score over time, flags against score, what matters."""

import pathlib
from collections.abc import Sequence

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes

from app.reporting import canvas
from tuning import importance
from tuning.confirmation import Ranked
from tuning.objective import Objective
from tuning.runs import TrialRun
from tuning.space import Dimension, Space


def draw(
    runs: Sequence[TrialRun],
    ranked: Sequence[Ranked],
    objective: Objective,
    space: Space,
    folder: pathlib.Path,
) -> list[pathlib.Path]:
    """Draws all figures of a search; returns their paths.

    Args:
      runs: all, in the order of their beginning.
      ranked: those with a score, the best first.
      objective: what is to be best.
      space: what is searched.
      folder: where the figures go.
    """
    scored = [run for run in runs if run.score is not None and not run.confirms]
    drawn = [_draw_progress(scored, objective, folder)]
    for dimension in space:
        drawn.append(_draw_flag(scored, objective, dimension, folder))
    drawn.append(_draw_parallel(ranked, objective, space, folder))
    importances = importance.importances(scored, space)
    if importances:
        drawn.append(_draw_importances(importances, len(scored), folder))
    return drawn


def _draw_progress(
    runs: Sequence[TrialRun], objective: Objective, folder: pathlib.Path
) -> pathlib.Path:
    """Each trial's score and the best so far, over the training time spent."""
    seconds = np.cumsum([run.seconds for run in runs])
    scores = np.array([run.score for run in runs], float)
    best = np.maximum if objective.direction == "max" else np.minimum
    figure = canvas.new_figure()
    axes = figure.add_subplot()
    canvas.plain_axes(
        axes, "Score over time", "Seconds of training, all trials", objective.tag
    )
    axes.plot(seconds, scores, "o", markersize=4, color=canvas.GREY, label="a trial")
    axes.step(
        seconds,
        best.accumulate(scores),
        where="post",
        color=canvas.BLUE,
        label="the best so far",
    )
    axes.legend(frameon=False)
    return canvas.save(figure, folder / "score_over_time.png")


def _draw_flag(
    runs: Sequence[TrialRun],
    objective: Objective,
    dimension: Dimension,
    folder: pathlib.Path,
) -> pathlib.Path:
    """One flag against the score; runs that do without it are left out."""
    having = [run for run in runs if dimension.name in run.flags]
    values = [run.flags[dimension.name] for run in having]
    figure = canvas.new_figure()
    axes = figure.add_subplot()
    title = f"{objective.tag} by {dimension.name}"
    canvas.plain_axes(axes, title, dimension.name, objective.tag)
    if dimension.is_range:
        places = [float(value) for value in values]
        if dimension.log:
            axes.set_xscale("log")
    else:
        places = [float(dimension.values.index(value)) for value in values]
        axes.set_xticks(
            range(len(dimension.values)), [str(value) for value in dimension.values]
        )
    axes.scatter(
        places,
        [float(run.score or 0.0) for run in having],
        c=[run.epochs for run in having],
        cmap=canvas.COLOUR_MAP,
        s=20,
    )
    if having:
        figure.colorbar(axes.collections[0], label="epochs trained")
    name = dimension.name.replace(".", "_")
    return canvas.save(figure, folder / f"score_by_{name}.png")


def _draw_parallel(
    ranked: Sequence[Ranked], objective: Objective, space: Space, folder: pathlib.Path
) -> pathlib.Path:
    """A line for each trial through its flags, coloured by its rank."""
    dimensions = list(space)
    figure = canvas.new_figure(width=1.5 * len(dimensions) + 4)
    axes = figure.add_subplot()
    axes.set_title(f"All trials, coloured by rank in {objective.tag}", loc="left")
    colours = colormaps[canvas.COLOUR_MAP]
    for rank, entry in reversed(list(enumerate(ranked))):
        share = rank / max(1, len(ranked) - 1)
        places = importance.encoded(entry.run.flags, space)
        axes.plot(
            range(len(dimensions)),
            [np.nan if place < 0 else place for place in places],
            color=canvas.ORANGE if rank == 0 else colours(1 - share),
            linewidth=2.5 if rank == 0 else 1,
            marker="o",
            markersize=3,
            label=f"best: {entry.run.name}" if rank == 0 else None,
        )
    axes.set_xticks(range(len(dimensions)), [_with_ends(d) for d in dimensions])
    axes.set_yticks([])
    axes.legend(frameon=False, loc="upper left", bbox_to_anchor=(1, 1))
    _only_vertical_lines(axes, len(dimensions))
    return canvas.save(figure, folder / "parallel_coordinates.png")


def _with_ends(dimension: Dimension) -> str:
    ends = dimension.ends
    return f"{dimension.name}\n{ends[0]} … {ends[-1]}"


def _only_vertical_lines(axes: Axes, count: int) -> None:
    for index in range(count):
        axes.axvline(index, color="#E0E0E0", linewidth=0.8, zorder=0)
    axes.spines[["top", "right", "left", "bottom"]].set_visible(False)


def _draw_importances(
    importances: Sequence[importance.Importance], count: int, folder: pathlib.Path
) -> pathlib.Path:
    figure = canvas.new_figure(height=1.5 + 0.4 * len(importances))
    axes = figure.add_subplot()
    canvas.plain_axes(
        axes,
        f"What matters, by {count} trials (bars: 90 % of resamples)",
        "Permutation importance",
        "",
    )
    for row, entry in enumerate(reversed(importances)):
        axes.plot([entry.low, entry.high], [row, row], color=canvas.GREY, linewidth=5)
        axes.plot(entry.mean, row, "o", color=canvas.BLUE)
    names = [entry.name for entry in reversed(importances)]
    axes.set_yticks(range(len(names)), names)
    axes.set_xlim(left=min(0.0, *(entry.low for entry in importances)))
    return canvas.save(figure, folder / "importance.png")
