"""Blank figures and saved ones: one look, no window, no global state of matplotlib."""

import io
import pathlib

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from base import files

# Okabe and Ito, "Color universal design" (2008): told apart with any colour vision.
BLUE, ORANGE, GREEN, PURPLE = "#0072B2", "#D55E00", "#009E73", "#CC79A7"
BLACK, GREY = "#000000", "#999999"
SERIES = (BLUE, ORANGE, GREEN, PURPLE, "#E69F00", "#56B4E9", BLACK)
# Perceptually even, and readable without colour: for matrices.
COLOUR_MAP = "cividis"

_DOTS_PER_INCH = 120
_MAX_INCHES = 48.0


def new_figure(width: float = 7.0, height: float = 4.5) -> Figure:
    """An empty figure, in inches; sides are cut at what a viewer still opens."""
    size = (min(width, _MAX_INCHES), min(height, _MAX_INCHES))
    figure = Figure(figsize=size, dpi=_DOTS_PER_INCH, layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def plain_axes(axes: Axes, title: str, x_label: str, y_label: str) -> None:
    """Labels the axes, with a faint grid behind what is drawn."""
    axes.set_title(title, loc="left", fontsize=11)
    axes.set_xlabel(x_label)
    axes.set_ylabel(y_label)
    axes.grid(color="#E0E0E0", linewidth=0.6)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)


def save(figure: Figure, path: pathlib.Path) -> pathlib.Path:
    """Writes the figure as PNG, whole or not at all; equal figures as equal bytes."""
    content = io.BytesIO()
    figure.savefig(content, format="png", metadata={"Software": None})
    files.write_bytes(path, content.getvalue())
    return path


def short(name: str, most: int = 24) -> str:
    """A class's name, cut so that one long name does not squeeze the figure."""
    # A $ would start a formula.
    name = name.replace("$", r"\$")
    return name if len(name) <= most else f"{name[: most - 1]}…"
