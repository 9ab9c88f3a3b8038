"""What the ground floor has is not written again elsewhere: read off the sources.

Each check finds one kind of copy. A copy that a room needs for a reason stands in
`_REASONS`, with the reason.
"""

import ast
import pathlib
from collections.abc import Callable, Iterator

from tests.structure.import_rule import ROOMS, names_used

# (check, file): why the file may do what base/ does.
_REASONS = {
    # Copies the default and the help of another flag.
    ("flags", "pipelines/packconfig.py"),
}

Check = Callable[[ast.Module], Iterator[int]]


def misspelt_names(tree: ast.Module) -> Iterator[int]:
    """Lines that look for the name that was meant: base.errors does."""
    yield from _uses(tree, "difflib")


def renames(tree: ast.Module) -> Iterator[int]:
    """Lines that rename a file or a folder: base.files does, and flushes."""
    yield from _uses(tree, "os.replace", "os.rename", "os.renames", "shutil.move")
    if not any(name.startswith("pathlib") for _, name in names_used(tree)):
        return
    for node in ast.walk(tree):
        # Path.rename(target) and Path.replace(target); str.replace takes two.
        if _is_method(node, "rename", "replace"):
            assert isinstance(node, ast.Call)
            if len(node.args) == 1 and not node.keywords:
                yield node.lineno


def sha256(tree: ast.Module) -> Iterator[int]:
    """Lines that take a file's SHA-256, whole or block by block: base.files does."""
    yield from _uses(tree, "hashlib.file_digest")
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and _name(node.func).endswith("sha256"):
            inner = [one for argument in node.args for one in ast.walk(argument)]
            if any(_is_method(one, "read_bytes", "read") for one in inner):
                yield node.lineno
        elif isinstance(node, ast.FunctionDef):
            begins = [
                inner.lineno
                for inner in ast.walk(node)
                if isinstance(inner, ast.Call) and _name(inner).endswith("sha256()")
            ]
            reads = any(_reads_a_file(inner) for inner in ast.walk(node))
            yield from begins if reads else ()


def flags(tree: ast.Module) -> Iterator[int]:
    """Lines that make a field with metadata, as base.fields does."""
    for node in ast.walk(tree):
        if (
            isinstance(node, ast.Call)
            and _name(node.func).endswith("field")
            and any(keyword.arg == "metadata" for keyword in node.keywords)
        ):
            yield node.lineno


def refusals(tree: ast.Module) -> Iterator[int]:
    """Lines that word, for whatever flag, what base.fields.require words."""
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            texts = [
                part.value if isinstance(part, ast.Constant) else "{}"
                for part in node.values
            ]
            if "".join(map(str, texts)).startswith("--{}={}: expected"):
                yield node.lineno


def cache_folders(tree: ast.Module) -> Iterator[int]:
    """Lines that look for the user's cache folder: base.caches does."""
    for node in ast.walk(tree):
        is_variable = isinstance(node, ast.Constant) and node.value == "XDG_CACHE_HOME"
        if is_variable or (isinstance(node, ast.Attribute) and node.attr == "home"):
            yield node.lineno


# What is looked for, and the module of base/ that has it.
CHECKS: dict[str, tuple[Check, str]] = {
    "misspelt names": (misspelt_names, "base/errors.py"),
    "renames": (renames, "base/files.py"),
    "sha256": (sha256, "base/files.py"),
    "flags": (flags, "base/fields.py"),
    "refusals": (refusals, "base/fields.py"),
    "cache folders": (cache_folders, "base/caches.py"),
}


def copies(root: pathlib.Path) -> list[str]:
    """Every copy under `root`, as `FILE:LINE CHECK: is in MODULE`."""
    return [
        f"{name}:{line} {check}: is in {home}"
        for room in ROOMS
        for path in sorted((root / room).rglob("*.py"))
        for tree in [ast.parse(path.read_text(encoding="utf-8"))]
        for check, (find, home) in CHECKS.items()
        if (name := path.relative_to(root).as_posix()) != home
        and (check, name) not in _REASONS
        for line in sorted(set(find(tree)))
    ]


def _uses(tree: ast.Module, *names: str) -> Iterator[int]:
    for line, name in names_used(tree):
        if any(name == one or name.startswith(f"{one}.") for one in names):
            yield line


def _is_method(node: ast.AST, *names: str) -> bool:
    return (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in names
    )


def _reads_a_file(node: ast.AST) -> bool:
    named_open = isinstance(node, ast.Call) and _name(node.func) == "open"
    return named_open or _is_method(node, "open", "read", "read_bytes")


def _name(node: ast.AST) -> str:
    return ast.unparse(node)
