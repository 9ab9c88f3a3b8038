"""What a notebook shows of a run: a small table, and where the figures are."""

import html as escaping
import pathlib
from collections.abc import Mapping
from typing import Any

_STYLE = "text-align:left"


def html(path: pathlib.Path, results: Mapping[str, Any]) -> str:
    """The run as HTML that a notebook puts under a cell."""
    rows = "".join(
        f'<tr><th style="{_STYLE}">{_escaped(name)}</th>'
        f'<td style="{_STYLE}">{_escaped(text)}</td></tr>'
        for name, text in _rows(results)
    )
    figures = sorted((path / "figures").glob("*.png"))
    links = "".join(
        f'<li><a href="{_escaped(figure)}">{_escaped(figure.name)}</a></li>'
        for figure in figures
    )
    listed = f"<ul>{links}</ul>" if links else ""
    return f"<b>{_escaped(path)}</b><table>{rows}</table>{listed}"


def _rows(results: Mapping[str, Any]) -> list[tuple[str, str]]:
    rows = [("state", str(results.get("state", "not started")))]
    for name in ("steps", "epochs", "seconds", "resumes"):
        if name in results:
            rows.append((name, f"{results[name]:,}"))
    if parameters := results.get("parameters"):
        rows.append(("parameters", f"{parameters['total']:,}"))
    for name in ("best", "validation", "test"):
        if metrics := results.get(name):
            rows.append((name, _metrics(metrics)))
    return rows


def _metrics(metrics: Mapping[str, Any]) -> str:
    return ", ".join(
        f"{name} {value:,}" if isinstance(value, int) else f"{name} {value:.4f}"
        for name, value in metrics.items()
        if isinstance(value, int | float)
    )


def _escaped(value: Any) -> str:
    return escaping.escape(str(value))
