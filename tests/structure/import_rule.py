"""Who may import whom: the rule, read off a tree of sources without running it."""

import ast
import pathlib
from collections.abc import Iterator

ROOMS = ("app", "atelier", "base", "models", "pipelines", "tuning")

# What each room may not import. `benchmarks` and `tests` may import every room.
FORBIDDEN_ROOMS = {
    "app": ("atelier", "tests", "benchmarks"),
    "atelier": ("tests", "benchmarks"),
    "base": ("app", "atelier", "models", "pipelines", "tuning", "tests", "benchmarks"),
    "models": ("app", "atelier", "pipelines", "tuning", "tests", "benchmarks"),
    "pipelines": ("app", "atelier", "models", "tuning", "tests", "benchmarks"),
    "tuning": ("app", "atelier", "pipelines", "tests", "benchmarks"),
}

# What belongs to `app` alone: flags, the strategies, the process's environment.
FORBIDDEN_OUTSIDE_APP = (
    "absl.flags",
    "tensorflow.distribute",
    "tensorflow.python.distribute",
    "os.environ",
    "os.getenv",
)


def breaches(root: pathlib.Path) -> list[str]:
    """Every breach of the rule under `root`, as `FILE:LINE imports NAME`."""
    return [
        f"{path.relative_to(root)}:{line} imports {name}"
        for room in ROOMS
        for path in sorted((root / room).rglob("*.py"))
        for line, name in names_used(ast.parse(path.read_text(encoding="utf-8")))
        if _is_forbidden(room, name)
    ]


def names_used(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """(line, dotted name) of all that a module imports or reaches through an import.

    Imports inside functions and by `importlib.import_module("…")` count as well, and
    aliases are resolved: after `import tensorflow as tf`, `tf.distribute` is
    `tensorflow.distribute`.
    """
    aliases: dict[str, str] = {}
    for node in ast.walk(tree):
        for line, name, bound in _imported(node):
            aliases[bound] = name
            yield line, name
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            base, _, rest = ast.unparse(node).partition(".")
            if base in aliases:
                yield node.lineno, f"{aliases[base]}.{rest}"
        elif isinstance(node, ast.Call) and _imports_by_text(node):
            yield node.lineno, node.args[0].value  # type: ignore[attr-defined]


def _imported(node: ast.AST) -> Iterator[tuple[int, str, str]]:
    """(line, dotted name, name that it is bound to) for each import in `node`."""
    if isinstance(node, ast.Import):
        for alias in node.names:
            if alias.asname:
                yield node.lineno, alias.name, alias.asname
            else:
                first = alias.name.partition(".")[0]
                yield node.lineno, first, first
                yield node.lineno, alias.name, alias.name
    elif isinstance(node, ast.ImportFrom) and node.level == 0:
        for alias in node.names:
            bound = alias.asname or alias.name
            yield node.lineno, f"{node.module}.{alias.name}", bound


def _imports_by_text(node: ast.Call) -> bool:
    function = ast.unparse(node.func).rpartition(".")[2]
    return (
        function in ("import_module", "__import__")
        and bool(node.args)
        and isinstance(node.args[0], ast.Constant)
        and isinstance(node.args[0].value, str)
    )


def _is_forbidden(room: str, name: str) -> bool:
    if name.partition(".")[0] in FORBIDDEN_ROOMS[room]:
        return True
    return room != "app" and any(
        name == forbidden or name.startswith(f"{forbidden}.")
        for forbidden in FORBIDDEN_OUTSIDE_APP
    )
