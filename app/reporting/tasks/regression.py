"""How values were predicted: predicted against true, and what is left over."""

import functools
import pathlib
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.axes import Axes

from app.reporting import canvas
from app.reporting.predictions import SplitPredictions

if TYPE_CHECKING:
    from app.reporting.keeping import Evaluated, WholeSplit

# More points than this hide one another; more targets than this are not drawn.
_MOST_POINTS = 3000
_MOST_TARGETS = 6


def keeper(evaluated: "Evaluated") -> "WholeSplit":
    """Keeps the values."""
    from app.reporting.keeping import WholeSplit  # here, as drawing needs no TensorFlow

    return WholeSplit(functools.partial(_keep, evaluated))


def _keep(
    evaluated: "Evaluated", labels: np.ndarray, values: np.ndarray
) -> SplitPredictions:
    return SplitPredictions(
        task=evaluated.task.name,
        labels=labels,
        outputs=values,
        names=tuple(evaluated.dataset.names(evaluated.split)),
    )


def draw(
    predictions: SplitPredictions, split: str, folder: pathlib.Path
) -> list[pathlib.Path]:
    """Draws a split's figures into `folder`; returns their paths."""
    examples = len(predictions.labels)
    true = predictions.labels.reshape(examples, -1).astype(np.float64)
    predicted = predictions.outputs.reshape(examples, -1).astype(np.float64)
    return [
        _draw_against_true(true, predicted, split, folder),
        _draw_residuals(true, predicted, split, folder),
    ]


def _draw_against_true(
    true: np.ndarray, predicted: np.ndarray, split: str, folder: pathlib.Path
) -> pathlib.Path:
    targets = min(true.shape[1], _MOST_TARGETS)
    figure = canvas.new_figure(5.0 * targets, 5.0)
    for target, axes in enumerate(figure.subplots(1, targets, squeeze=False).flat):
        x, y = true[:, target], predicted[:, target]
        mae, rmse = np.abs(y - x).mean(), np.sqrt(np.square(y - x).mean())
        title = f"{_title('Predicted against true', split, target, targets)}"
        title += f"\nMAE {mae:.4g}, RMSE {rmse:.4g}, {len(x):,} examples"
        canvas.plain_axes(axes, title, "True value", "Predicted value")
        ends = [min(x.min(), y.min()), max(x.max(), y.max())]
        axes.plot(ends, ends, color=canvas.BLACK, linestyle="--", linewidth=1)
        _scatter(axes, x, y)
        axes.set_aspect("equal", adjustable="datalim")
    return canvas.save(figure, folder / f"{split}_predicted_against_true.png")


def _draw_residuals(
    true: np.ndarray, predicted: np.ndarray, split: str, folder: pathlib.Path
) -> pathlib.Path:
    """Residuals over the predicted value, where a trend shows, and how they spread."""
    targets = min(true.shape[1], _MOST_TARGETS)
    figure = canvas.new_figure(8.0, 4.0 * targets)
    grid = figure.subplots(targets, 2, squeeze=False, width_ratios=(2, 1))
    for target, (left, right) in enumerate(grid):
        residuals = predicted[:, target] - true[:, target]
        title = _title("Residuals", split, target, targets)
        canvas.plain_axes(left, title, "Predicted value", "Predicted - true")
        _scatter(left, predicted[:, target], residuals)
        left.axhline(0, color=canvas.BLACK, linestyle="--", linewidth=1)
        canvas.plain_axes(right, f"mean {residuals.mean():.3g}", "Examples", "")
        right.hist(residuals, bins="auto", orientation="horizontal", color=canvas.BLUE)
        right.axhline(0, color=canvas.BLACK, linestyle="--", linewidth=1)
        right.sharey(left)
    return canvas.save(figure, folder / f"{split}_residuals.png")


def _scatter(axes: Axes, x: np.ndarray, y: np.ndarray) -> None:
    """Points while they can be told apart, a density beyond."""
    if len(x) <= _MOST_POINTS:
        axes.scatter(x, y, s=10, alpha=0.5, color=canvas.BLUE, edgecolors="none")
    else:
        axes.hexbin(x, y, gridsize=60, bins="log", mincnt=1, cmap=canvas.COLOUR_MAP)


def _title(what: str, split: str, target: int, targets: int) -> str:
    return f"{what}, {split}" + (f", value {target + 1}" if targets > 1 else "")
