"""How classes were told apart: confusion, a table by class, mistakes, reliability."""

import functools
import math
import pathlib
from typing import TYPE_CHECKING

import matplotlib.colors
import numpy as np
import scipy.special
import sklearn.metrics

from app.reporting import canvas, recall, reliability
from app.reporting.predictions import SplitPredictions
from app.reporting.tables import write_table
from base.errors import UserError
from models.intervals import wilson_95

if TYPE_CHECKING:
    from app.reporting.keeping import Evaluated, WholeSplit

# Pictures of mistakes that are kept, the surest first, and those that are drawn.
_MOST_KEPT = 36
_MOST_PICTURES = 25
# Beyond these, numbers in cells and rows of a figure can no longer be read.
_MOST_CELLS_WITH_NUMBERS = 20
_MOST_TICKS = 200
_COLUMNS = (
    "class",
    "examples",
    "predicted",
    "correct",
    "precision",
    "recall",
    "recall_95_low",
    "recall_95_high",
    "f1",
)


def keeper(evaluated: "Evaluated") -> "WholeSplit":
    """Keeps probabilities, and the pictures of the surest mistakes."""
    from app.reporting.keeping import WholeSplit  # here, as drawing needs no TensorFlow

    return WholeSplit(functools.partial(_keep, evaluated))


def _keep(
    evaluated: "Evaluated", labels: np.ndarray, logits: np.ndarray
) -> SplitPredictions:
    dataset, split = evaluated.dataset, evaluated.split
    probabilities = scipy.special.softmax(logits, axis=-1)
    mistakes = most_confident_mistakes(labels, probabilities, _MOST_KEPT)
    more = {"mistake_indices": mistakes}
    if dataset.features.input.kind == "image" and len(mistakes):
        more["mistake_images"] = dataset.examples(split, mistakes).inputs
    return SplitPredictions(
        task=evaluated.task.name,
        labels=labels,
        outputs=probabilities,
        names=tuple(dataset.names(split)),
        classes=dataset.features.target.part_names,
        more=more,
    )


def most_confident_mistakes(
    labels: np.ndarray, probabilities: np.ndarray, count: int | None = None
) -> np.ndarray:
    """Indices of the examples that are wrong, the surest first: int64 [<= count].

    Args:
      labels: int64 [n] classes.
      probabilities: float32 [n, classes].
      count: how many at most; all by default.
    """
    wrong = np.flatnonzero(probabilities.argmax(1) != labels)
    surest = np.argsort(-probabilities[wrong].max(1), kind="stable")
    return wrong[surest][:count].astype(np.int64)


def draw(
    predictions: SplitPredictions, split: str, folder: pathlib.Path
) -> list[pathlib.Path]:
    """Draws a split's figures and tables into `folder`; returns their paths.

    Raises:
      UserError: there are not as many probabilities as classes.
    """
    shape = predictions.outputs.shape
    if shape[1:] != (len(predictions.classes),):
        raise UserError(
            f"what was kept of {split} is damaged: outputs of shape {shape} for"
            f" {len(predictions.classes)} classes; evaluate again"
        )
    rows = class_rows(predictions)
    drawn = [
        _draw_confusion(predictions, split, folder),
        write_table(_COLUMNS, rows, folder / f"{split}_per_class.csv"),
        recall.draw(
            [dict(zip(_COLUMNS, row, strict=True)) for row in rows],
            "class",
            "recall",
            split,
            folder / f"{split}_per_class.png",
        ),
        _write_mistakes(predictions, split, folder),
        reliability.draw(predictions, split, folder),
    ]
    if len(predictions.more.get("mistake_images", ())):
        drawn.append(_draw_mistakes(predictions, split, folder))
    return drawn


def confusion(predictions: SplitPredictions) -> np.ndarray:
    """Examples by true class (rows) and predicted class: int64 [classes, classes]."""
    matrix: np.ndarray = sklearn.metrics.confusion_matrix(
        predictions.labels,
        predictions.outputs.argmax(1),
        labels=np.arange(len(predictions.classes)),
    )
    return matrix


def class_rows(predictions: SplitPredictions) -> list[list[str | int | float | None]]:
    """A row per class, in the classes' order: the columns of the per-class table.

    What has no examples to be measured on is None: the recall of an absent class, the
    precision of one that was never predicted.
    """
    matrix = confusion(predictions)
    rows: list[list[str | int | float | None]] = []
    for index, name in enumerate(predictions.classes):
        examples, predicted = int(matrix[index].sum()), int(matrix[:, index].sum())
        correct = int(matrix[index, index])
        low, high = wilson_95(correct, examples) if examples else (None, None)
        rows.append(
            [
                name,
                examples,
                predicted,
                correct,
                correct / predicted if predicted else None,
                correct / examples if examples else None,
                low,
                high,
                2 * correct / (examples + predicted) if examples + predicted else None,
            ]
        )
    return rows


def _draw_confusion(
    predictions: SplitPredictions, split: str, folder: pathlib.Path
) -> pathlib.Path:
    matrix, classes = confusion(predictions), predictions.classes
    fractions = matrix / np.maximum(matrix.sum(1, keepdims=True), 1)
    side = max(5.5, 2.5 + 0.17 * len(classes), 2.5 + 0.5 * min(len(classes), 20))
    figure = canvas.new_figure(side + 1.0, side)
    axes = figure.add_subplot()
    # The square root brings out rare confusions, which is what one looks for.
    scale = matplotlib.colors.PowerNorm(0.5, vmin=0, vmax=1)
    image = axes.imshow(fractions, cmap=canvas.COLOUR_MAP, norm=scale)
    bar = figure.colorbar(image, ax=axes, shrink=0.6)
    bar.set_label("Fraction of the true class")
    correct, total = int(np.trace(matrix)), int(matrix.sum())
    axes.set_title(
        f"Confusion matrix, {split}: {correct:,} of {total:,} right", loc="left"
    )
    axes.set_xlabel("Predicted class")
    axes.set_ylabel("True class")
    # Where not every class has room, every second, third, … is named.
    ticks = np.arange(0, len(classes), math.ceil(len(classes) / _MOST_TICKS))
    size = 9 if len(classes) <= 40 else 7
    names = [canvas.short(classes[tick]) for tick in ticks]
    axes.set_xticks(ticks, names, rotation=90, fontsize=size)
    axes.set_yticks(ticks, names, fontsize=size)
    if len(classes) <= _MOST_CELLS_WITH_NUMBERS:
        for (row, column), count in np.ndenumerate(matrix):
            colour = "black" if fractions[row, column] > 0.25 else "white"
            if count:
                axes.text(column, row, f"{count}", ha="center", va="center", c=colour)
    return canvas.save(figure, folder / f"{split}_confusion_matrix.png")


def _write_mistakes(
    predictions: SplitPredictions, split: str, folder: pathlib.Path
) -> pathlib.Path:
    """All mistakes, the surest first."""
    rows = []
    for index in most_confident_mistakes(predictions.labels, predictions.outputs):
        label = predictions.classes[int(predictions.labels[index])]
        rows.append([predictions.names[index], label, *_guess(predictions, index)])
    columns = ("example", "class", "predicted", "probability")
    return write_table(columns, rows, folder / f"{split}_mistakes.csv")


def _draw_mistakes(
    predictions: SplitPredictions, split: str, folder: pathlib.Path
) -> pathlib.Path:
    """The pictures that the evaluation kept, the surest mistake first."""
    pictures = predictions.more["mistake_images"][:_MOST_PICTURES]
    columns = min(5, len(pictures))
    rows = math.ceil(len(pictures) / columns)
    figure = canvas.new_figure(max(2.1 * columns, 5.0), 2.5 * rows + 0.5)
    figure.suptitle(f"Most confident mistakes, {split}", x=0.01, ha="left", fontsize=11)
    for place, axes in enumerate(figure.subplots(rows, columns, squeeze=False).flat):
        axes.axis("off")
        if place >= len(pictures):
            continue
        index = int(predictions.more["mistake_indices"][place])
        picture = pictures[place]
        grey = picture.shape[-1] == 1
        shown = picture[..., 0] if grey else picture
        axes.imshow(shown, cmap="gray", vmin=0, vmax=255, interpolation="nearest")
        label = canvas.short(predictions.classes[int(predictions.labels[index])])
        guess, probability = _guess(predictions, index)
        axes.set_title(
            f"{label}\ntaken for {canvas.short(guess)} ({probability:.2f})\n"
            f"{_short_path(predictions.names[index])}",
            fontsize=7,
        )
    return canvas.save(figure, folder / f"{split}_mistakes.png")


def _guess(predictions: SplitPredictions, index: int) -> tuple[str, float]:
    """The class predicted for an example, and its probability."""
    best = int(predictions.outputs[index].argmax())
    return predictions.classes[best], round(float(predictions.outputs[index, best]), 6)


def _short_path(name: str, most: int = 26) -> str:
    """An example's name; of a path its end is what tells."""
    name = name.replace("$", r"\$")
    return name if len(name) <= most else f"…{name[1 - most :]}"
