"""How several labels were told: a table and a figure by label, precision and recall."""

import functools
import pathlib
from typing import TYPE_CHECKING, Any

import numpy as np
import scipy.special
import sklearn.metrics

from app.reporting import canvas, recall
from app.reporting.predictions import SplitPredictions
from app.reporting.tables import write_table
from models.intervals import wilson_95

if TYPE_CHECKING:
    from app.reporting.keeping import Evaluated, WholeSplit

# More curves than these cannot be told apart.
_MOST_CURVES = len(canvas.SERIES)
_COLUMNS = (
    "label",
    "examples",
    "threshold",
    "predicted",
    "correct",
    "precision",
    "recall",
    "recall_95_low",
    "recall_95_high",
    "f1",
    "average_precision",
)


def keeper(evaluated: "Evaluated") -> "WholeSplit":
    """Keeps probabilities, and the thresholds that answers go by."""
    from app.reporting.keeping import WholeSplit  # here, as drawing needs no TensorFlow

    return WholeSplit(functools.partial(_keep, evaluated))


def _keep(
    evaluated: "Evaluated", labels: np.ndarray, logits: np.ndarray
) -> SplitPredictions:
    outputs = evaluated.task.outputs
    thresholds = outputs.thresholds or (0.5,) * outputs.size
    return SplitPredictions(
        task=evaluated.task.name,
        labels=(labels >= 0.5).astype(np.uint8),
        outputs=scipy.special.expit(logits),
        names=tuple(evaluated.dataset.names(evaluated.split)),
        classes=outputs.names,
        more={"thresholds": np.array(thresholds, np.float32)},
    )


def draw(
    predictions: SplitPredictions, split: str, folder: pathlib.Path
) -> list[pathlib.Path]:
    """Draws a split's figures and tables into `folder`; returns their paths."""
    rows = label_rows(predictions)
    return [
        write_table(_COLUMNS, rows, folder / f"{split}_per_label.csv"),
        recall.draw(
            [dict(zip(_COLUMNS, row, strict=True)) for row in rows],
            "label",
            "f1",
            split,
            folder / f"{split}_per_label.png",
        ),
        _draw_precision_and_recall(predictions, split, folder),
        _write_mistakes(predictions, split, folder),
    ]


def _said(predictions: SplitPredictions) -> np.ndarray:
    """Which labels are predicted: bool [n, labels]."""
    said: np.ndarray = predictions.outputs >= predictions.more["thresholds"]
    return said


def label_rows(predictions: SplitPredictions) -> list[list[Any]]:
    """A row per label, in the labels' order: the columns of the table.

    What has no examples to be measured on is None: the recall of an absent label, the
    precision of one that was never predicted.
    """
    said, there = _said(predictions), predictions.labels.astype(bool)
    return [
        _row(
            name,
            said[:, label],
            there[:, label],
            float(predictions.more["thresholds"][label]),
            predictions.outputs[:, label],
        )
        for label, name in enumerate(predictions.classes)
    ]


def _row(
    name: str,
    said: np.ndarray,
    there: np.ndarray,
    threshold: float,
    probabilities: np.ndarray,
) -> list[Any]:
    examples, predicted = int(there.sum()), int(said.sum())
    correct = int((said & there).sum())
    low, high = wilson_95(correct, examples) if examples else (None, None)
    average = None
    if examples:
        average = float(sklearn.metrics.average_precision_score(there, probabilities))
    return [
        name,
        examples,
        threshold,
        predicted,
        correct,
        correct / predicted if predicted else None,
        correct / examples if examples else None,
        low,
        high,
        2 * correct / (examples + predicted) if examples + predicted else None,
        average,
    ]


def _draw_precision_and_recall(
    predictions: SplitPredictions, split: str, folder: pathlib.Path
) -> pathlib.Path:
    """A curve for each of the commonest labels, marked at its threshold."""
    there = predictions.labels.astype(bool)
    counts = there.sum(0)
    commonest = [label for label in np.argsort(-counts, kind="stable") if counts[label]]
    shown = commonest[:_MOST_CURVES]
    which = (
        f", the {len(shown)} commonest of {len(commonest)} labels"
        if len(shown) < len(commonest)
        else ""
    )
    figure = canvas.new_figure(6.5, 6.0)
    axes = figure.add_subplot()
    canvas.plain_axes(
        axes, f"Precision and recall, {split}{which}", "Recall", "Precision"
    )
    said = _said(predictions)
    for label, color in zip(shown, canvas.SERIES, strict=False):
        precision, recall, _ = sklearn.metrics.precision_recall_curve(
            there[:, label], predictions.outputs[:, label]
        )
        average = sklearn.metrics.average_precision_score(
            there[:, label], predictions.outputs[:, label]
        )
        name = f"{predictions.classes[label]}: average precision {average:.3f}"
        axes.step(recall, precision, where="post", color=color, label=name)
        correct = (said & there)[:, label].sum()
        if said[:, label].any():
            axes.plot(
                correct / counts[label], correct / said[:, label].sum(), "o", c=color
            )
    axes.set_xlim(-0.02, 1.02)
    axes.set_ylim(-0.02, 1.04)
    axes.plot([], [], "o", c=canvas.BLACK, label="at the threshold")
    axes.legend(loc="lower left", frameon=False, fontsize=8)
    return canvas.save(figure, folder / f"{split}_precision_recall.png")


def _write_mistakes(
    predictions: SplitPredictions, split: str, folder: pathlib.Path
) -> pathlib.Path:
    """Examples with a wrong label, those with most of them first."""
    said, there = _said(predictions), predictions.labels.astype(bool)
    wrong = (said != there).sum(1)
    order = np.argsort(-wrong, kind="stable")

    def named(marks: np.ndarray) -> str:
        return ";".join(predictions.classes[label] for label in np.flatnonzero(marks))

    rows = [
        [predictions.names[i], int(wrong[i]), named(there[i]), named(said[i])]
        for i in order[: int((wrong > 0).sum())]
    ]
    columns = ("example", "wrong", "labels", "predicted")
    return write_table(columns, rows, folder / f"{split}_mistakes.csv")
