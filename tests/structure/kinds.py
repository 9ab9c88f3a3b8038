"""Where a task's or a feature's name may be compared with: read off the sources.

Elsewhere a room asks the task or the feature, so that a new one is a new file and no
branch anywhere means "the other one".
"""

import ast
import pathlib
from collections.abc import Iterator

from models.tasks.names import TASKS
from pipelines.features import column_registry, registry
from tests.structure.import_rule import ROOMS

# Where names stand for what they are: the features, the tasks, their by-name files, and
# what models do with each kind of input, which refuse a kind that they do not know.
ALLOWED = (
    "pipelines/features/",
    "models/tasks/",
    "models/inputs.py",
    "models/spec.py",
    "app/reporting/tasks/",
    "app/serving/tasks/",
    "app/serving/inputs/",
)


def names() -> frozenset[str]:
    """The names of all tasks, features and columns' encodings."""
    features = {feature.kind for feature in (*registry.INPUTS, *registry.TARGETS)}
    columns = {feature.kind for feature in column_registry.COLUMNS}
    encodings = {feature.encoding for feature in column_registry.COLUMNS}
    return frozenset({*TASKS, *features, *columns, *encodings})


def comparisons(root: pathlib.Path) -> list[str]:
    """Every comparison with a name outside the places above: `FILE:LINE 'NAME'`."""
    known = names()
    return [
        f"{path.relative_to(root)}:{line} {name!r}"
        for room in ROOMS
        for path in sorted((root / room).rglob("*.py"))
        if not str(path.relative_to(root)).startswith(ALLOWED)
        for line, name in _compared(ast.parse(path.read_text(encoding="utf-8")))
        if name in known
    ]


def _compared(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Texts that something is compared with, by `==`, `in` or a case of a match."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Compare):
            for side in (node.left, *node.comparators):
                yield from _texts(side)
        elif isinstance(node, ast.MatchValue):
            yield from _texts(node.value)


def _texts(node: ast.expr) -> Iterator[tuple[int, str]]:
    parts = node.elts if isinstance(node, ast.Tuple | ast.List | ast.Set) else [node]
    for part in parts:
        if isinstance(part, ast.Constant) and isinstance(part.value, str):
            yield part.lineno, part.value
