"""Finds what reaches into the private parts of other people's libraries.

What can be told from the text alone: an import of a private module; a private name of
an object that is not Atelier's; one of `self` that Atelier gives it nowhere, or that
the libraries are known to give it; a method that overrides a private one; private
names in `getattr`.
"""

import ast
import pathlib
import re
from collections.abc import Iterator

from tests.structure.import_rule import ROOMS

# Where it may be done.
FENCED = (
    "app/distribution/tf_internals.py",
    "models/keras_internals.py",
    "models/tf_internals.py",
    "tuning/keras_tuner_internals.py",
)
PRIVATE_MODULES = ("tensorflow.python", "keras.src", "keras_tuner.engine")
# What objects and subclasses have from Keras and KerasTuner, whoever uses the name too.
KNOWN = frozenset(
    {"_all_reduce_sum_gradients", "_flatten_layers", "_functional", "_momentums"}
    | {"_muon_update_step", "_nodes_by_depth", "_outputs_struct", "_should_use_adamw"}
    | {"_brackets", "_compute_values_hash", "_duplicate", "_get_size", "_ordered_ids"}
    | {"_max_collisions", "_populate_next", "_populate_space", "_random_state"}
    | {"_random_values", "_save_trial", "_seed_state", "_vectorize_trials"}
)
# Public, whatever they look like.
_PUBLIC = frozenset({"os._exit"})
_OF_NAMED_TUPLES = frozenset({"_replace", "_fields", "_asdict", "_make"})
_PRIVATE = re.compile(r"_[a-zA-Z]\w*")


def breaches(root: pathlib.Path) -> list[str]:
    """Every private part that is reached outside of the fence, as `FILE:LINE: WHAT`."""
    paths = (p.relative_to(root) for room in ROOMS for p in (root / room).rglob("*.py"))
    trees = {
        path: ast.parse((root / path).read_text(encoding="utf-8"))
        for path in sorted(paths)
        if path.as_posix() not in FENCED
    }
    own = {name for tree in trees.values() for name in _given(tree)} - KNOWN
    return [
        f"{path}:{line}: {what}"
        for path, tree in trees.items()
        for line, what in _private_parts(tree, own)
    ]


def _given(tree: ast.AST) -> Iterator[str]:
    """Private names that a module's classes give themselves: methods and attributes."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef):
            yield node.name
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            if ast.unparse(node.value) in ("self", "cls"):
                yield node.attr
        elif isinstance(node, ast.ClassDef):
            for part in node.body:
                if isinstance(part, ast.AnnAssign):
                    yield ast.unparse(part.target)
                elif isinstance(part, ast.Assign):
                    yield from map(ast.unparse, part.targets)


def _private_parts(tree: ast.AST, own: set[str]) -> Iterator[tuple[int, str]]:
    here = set(_given(tree)) - KNOWN
    owners = {"self", "cls", *_imported_from_rooms(tree)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            known = own if ast.unparse(node.value) in owners else here
            found = [ast.unparse(node)] if _is_foreign(node.attr, known) else []
        elif isinstance(node, ast.ImportFrom | ast.Import):
            found = list(filter(_is_private_module, _names_imported(node)))
        elif isinstance(node, ast.FunctionDef):
            found = [node.name] if node.name in KNOWN else []
        elif isinstance(node, ast.Call):
            name = _named_by_text(node)
            found = [ast.unparse(node)] if name and _is_foreign(name, here) else []
        else:
            continue
        yield from ((node.lineno, what) for what in found if what not in _PUBLIC)


def _is_foreign(name: str, known: set[str]) -> bool:
    return bool(_PRIVATE.fullmatch(name)) and name not in known | _OF_NAMED_TUPLES


def _is_private_module(name: str) -> bool:
    return any(f"{name}.".startswith(f"{one}.") for one in PRIVATE_MODULES)


def _imported_from_rooms(tree: ast.AST) -> Iterator[str]:
    imports = (node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom))
    for node in imports:
        if str(node.module).partition(".")[0] in ROOMS:
            yield from (alias.asname or alias.name for alias in node.names)


def _names_imported(node: ast.ImportFrom | ast.Import) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    return [f"{node.module}.{alias.name}" for alias in node.names]


def _named_by_text(node: ast.Call) -> str | None:
    """The name that `getattr(x, "name")` and its kin ask for."""
    if ast.unparse(node.func) not in ("getattr", "hasattr", "setattr", "delattr"):
        return None
    name = node.args[1] if len(node.args) > 1 else None
    return str(name.value) if isinstance(name, ast.Constant) else None
