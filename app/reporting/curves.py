"""What changes over the epochs of a training: loss, metrics, learning rate."""

import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.axes import Axes

from app.reporting import canvas
from app.reporting.metric_facts import MetricFacts
from app.reporting.metrics import OF_EVERY_RUN

_RATE = "learning_rate"
# Few points are marked one by one.
_MOST_MARKED = 30


def draw(
    lines: Sequence[Mapping[str, Any]],
    facts: MetricFacts,
    best_epoch: float | None,
    folder: pathlib.Path,
) -> list[pathlib.Path]:
    """Draws `NAME_over_training_epochs.png` for all that metrics.jsonl has lines of.

    Args:
      lines: of metrics.jsonl.
      facts: what the metrics mean.
      best_epoch: marked, if it is known.
      folder: where the figures go.
    """
    drawn = []
    for name in _metric_names(lines, facts):
        series = _series(lines, name)
        if series:
            title = facts.title(name)
            drawn.append(_draw_series(name, title, series, best_epoch, folder))
    rates = {
        tag.replace("_", " ").replace("/", " of "): points
        for tag in _tags(lines)
        if tag.partition("/")[0] == _RATE and (points := _points(lines, tag))
    }
    if rates:
        title = OF_EVERY_RUN[_RATE].title
        drawn.append(_draw_series(_RATE, title, rates, None, folder))
    return drawn


def _tags(lines: Sequence[Mapping[str, Any]]) -> list[str]:
    """Those of all lines, each once, in order."""
    return list(dict.fromkeys(tag for line in lines for tag in line))


def _metric_names(lines: Sequence[Mapping[str, Any]], facts: MetricFacts) -> list[str]:
    """What is measured of training or a validation set, as it is declared."""
    parts = (tag.partition("/") for tag in _tags(lines))
    found = [
        name
        for split, _, name in parts
        if name and (split == "train" or split.startswith("validation"))
    ]
    ordered = [name for name in facts.declared if name in found]
    return [n for n in dict.fromkeys([*ordered, *found]) if n != "examples"]


Points = list[tuple[float, float]]


def _series(lines: Sequence[Mapping[str, Any]], name: str) -> dict[str, Points]:
    """{split: [(epoch, value)]} of all splits that have the metric, training first."""
    tags = {tag for line in lines for tag in line if tag.endswith(f"/{name}")}
    ordered = sorted(tags, key=lambda tag: (not tag.startswith("train/"), tag))
    found = {tag.removesuffix(f"/{name}"): _points(lines, tag) for tag in ordered}
    return {split: points for split, points in found.items() if points}


def _points(lines: Sequence[Mapping[str, Any]], tag: str) -> Points:
    """(epoch, value) where the value is a number: NaN was logged as null."""
    return [
        (float(line["epoch"]), float(line[tag]))
        for line in lines
        if isinstance(line.get(tag), int | float) and "epoch" in line
    ]


def _draw_series(
    name: str,
    title: str,
    series: Mapping[str, Points],
    best_epoch: float | None,
    folder: pathlib.Path,
) -> pathlib.Path:
    figure = canvas.new_figure()
    axes = figure.add_subplot()
    canvas.plain_axes(axes, f"{title} over training epochs", "Epoch", title)
    for index, (split, points) in enumerate(series.items()):
        axes.plot(
            *zip(*points, strict=True),
            color=canvas.SERIES[index % len(canvas.SERIES)],
            linestyle="--" if split == "train" else "-",
            marker="o" if len(points) <= _MOST_MARKED else None,
            markersize=4,
            label=f"{split}: {points[-1][1]:.4g} at the end",
        )
    if best_epoch is not None:
        label = f"best epoch: {best_epoch:g}"
        axes.axvline(best_epoch, color=canvas.GREY, linestyle=":", label=label)
    _scale(axes, name, [value for points in series.values() for _, value in points])
    axes.legend(frameon=False)
    return canvas.save(
        figure, folder / f"{name.replace('/', '_')}_over_training_epochs.png"
    )


def _scale(axes: Axes, name: str, values: Sequence[float]) -> None:
    """From epoch 0; a loss that falls by more than a factor of 30 on a log scale."""
    axes.set_xlim(left=0)
    if name == "loss" and min(values) > 0 and max(values) / min(values) > 30:
        axes.set_yscale("log")
    elif name == _RATE:
        axes.set_ylim(bottom=0)
