"""Recall with its interval and precision, a row a class or label: the worst on top."""

import math
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from app.reporting import canvas

# Rows beyond these can no longer be read.
_MOST_ROWS = 100


def draw(
    tables: Sequence[Mapping[str, Any]],
    what: str,
    by: str,
    split: str,
    path: pathlib.Path,
) -> pathlib.Path:
    """Draws those that have examples.

    Args:
      tables: a row each, with `examples`, `recall`, its interval `recall_95_low` and
        `recall_95_high`, `precision` (None where nothing was predicted), and the below.
      what: the column of the names: class or label.
      by: the column that tells the worst, which has the lowest.
      split: for the title.
      path: of the figure.
    """
    measured = [table for table in tables if table["examples"]]
    measured.sort(key=lambda table: (table[by], table[what]))
    shown = measured[:_MOST_ROWS]
    figure = canvas.new_figure(7.0, 1.8 + 0.22 * max(len(shown), 1))
    axes = figure.add_subplot()
    which = f", the worst {_MOST_ROWS} of {len(measured)}" if shown != measured else ""
    canvas.plain_axes(axes, f"By {what}, {split}{which}", "", "")
    places = np.arange(len(shown))
    recall, low, high, precision = (
        np.array([table[name] for table in shown], np.float64)
        for name in ("recall", "recall_95_low", "recall_95_high", "precision")
    )
    spread = np.abs(np.stack([recall - low, high - recall]))
    label = "recall, with its 95 % interval"
    axes.errorbar(recall, places, xerr=spread, fmt="o", c=canvas.BLUE, label=label)
    axes.plot(precision, places, "D", mfc="none", c=canvas.ORANGE, label="precision")
    names = [f"{canvas.short(str(row[what]))} ({row['examples']})" for row in shown]
    axes.set_yticks(places, names, fontsize=8)
    axes.set_ylim(len(shown) - 0.4, -0.6)
    lowest = np.nanmin([low, precision], initial=1.0)
    axes.set_xlim(math.floor(10 * lowest) / 10 - 0.02, 1.02)
    figure.legend(loc="outside lower center", ncols=2, frameon=False)
    return canvas.save(figure, path)
