"""Who may import whom: the rule, read off a tree of sources without running it.

Between the rooms, between the parts of `app`, and among the modules of each room.
"""

import ast
import graphlib
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

# The parts of `app`, from the bottom up. Each may import itself and those of the lines
# before its own, and none beside it or above: not inside a function either.
LEVELS = (
    ("caches", "child_processes", "exit_status", "run_files", "tf_startup"),
    ("configs",),
    ("distribution",),
    ("training",),
    ("reporting",),
    ("runs",),
    ("examining", "searching", "serving"),
    ("commands",),
    ("main",),
)


def breaches(root: pathlib.Path) -> list[str]:
    """Every breach of the rule under `root`, as `FILE:LINE imports NAME`."""
    return [
        f"{path.relative_to(root)}:{line} imports {name}"
        for room in ROOMS
        for path in sorted((root / room).rglob("*.py"))
        for line, name in names_used(_parsed(path))
        if _is_forbidden(room, name)
        or (room == "app" and _is_upward(_part(_module(root, path)), _part(name)))
    ]


def parts_without_level(root: pathlib.Path) -> list[str]:
    """The parts of `app` under `root` that the rule does not place."""
    parts = {_part(_module(root, path)) for path in (root / "app").rglob("*.py")}
    return sorted(parts - {""} - {part for level in LEVELS for part in level})


def circles(root: pathlib.Path) -> list[str]:
    """A circle of imports of each room under `root` that has one: `a → b → a`.

    Imports inside functions close one as well; those for type checkers alone do not.
    """
    found = []
    for room in ROOMS:
        modules = {_module(root, path): path for path in (root / room).rglob("*.py")}
        graph = {module: _imports(module, modules) for module in modules}
        try:
            graphlib.TopologicalSorter(graph).prepare()
        except graphlib.CycleError as error:
            found.append(" → ".join(reversed(error.args[1])))
    return found


def _imports(module: str, modules: dict[str, pathlib.Path]) -> set[str]:
    """The modules of its own room that a module imports."""
    tree = _WithoutTypeChecking().visit(_parsed(modules[module]))
    found = set()
    for _, name in names_used(tree):
        while name and name not in modules:
            name = name.rpartition(".")[0]  # a name in a module
        while name in modules:
            found.add(name)
            name = name.rpartition(".")[0]  # its package is imported, too
    # The packages that a module is in have begun to be imported already.
    return {one for one in found if one and not f"{module}.".startswith(f"{one}.")}


class _WithoutTypeChecking(ast.NodeTransformer):
    """Takes `if TYPE_CHECKING:` out: what is in it is never run."""

    def visit_If(self, node: ast.If) -> ast.AST:
        if ast.unparse(node.test).rpartition(".")[2] == "TYPE_CHECKING":
            return ast.Pass()
        return self.generic_visit(node)


def _parsed(path: pathlib.Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def _module(root: pathlib.Path, path: pathlib.Path) -> str:
    """The dotted name of a file; a package's is that of its `__init__`."""
    names = path.relative_to(root).with_suffix("").parts
    return ".".join(names[:-1] if names[-1] == "__init__" else names)


def _part(name: str) -> str:
    """The part of `app` that a dotted name is in; nothing for `app` itself."""
    room, _, rest = name.partition(".")
    return rest.partition(".")[0] if room == "app" else ""


def _is_upward(part: str, imported: str) -> bool:
    """Whether a part of `app` may not import another."""
    if not imported or part == imported:
        return False
    heights = {name: height for height, level in enumerate(LEVELS) for name in level}
    # A part that the rule does not place is another check's matter.
    return heights.get(part, -1) <= heights.get(imported, -1)


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
