"""The user's own parts: what `package.module:name` stands for.

It is looked up in the working directory first, so that a file beside the data is found
whatever it is called; then among the installed packages. Nothing is unpickled: a part
is code that the user named. Read `load`.
"""

import dataclasses
import importlib
import inspect
import pathlib
import re
import types
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from base import given
from base.errors import UserError, did_you_mean, unknown
from base.fields import require

if TYPE_CHECKING:
    from base.own_modules import OwnFolder

FORM = "package.module:name"
_REFERENCE = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*:[^\W\d]\w*")


@dataclasses.dataclass(frozen=True)
class OwnPart:
    """A file of the user's that was run.

    Attributes:
        reference: `package.module:name`; of a file that another one imported, the
            module alone.
        path: of the file.
        sha256: of its bytes when it was run.
    """

    reference: str
    path: str
    sha256: str

    def to_json(self) -> dict[str, str]:
        """As it stands in environment.json."""
        return dataclasses.asdict(self)


_loaded: dict[str, OwnPart] = {}


def is_reference(text: str) -> bool:
    """Whether a flag's value names a part of the user's own, rather than one here."""
    return _REFERENCE.fullmatch(text) is not None


def references_in(text: str) -> list[str]:
    """The references in a flag's value.

    Such as `flip,mine:blur`, `mine:f:max`, or `clean=mine:data` of validation sets.
    """
    items = (part.strip().rpartition("=")[2] for part in text.split(","))
    parts = (":".join(item.split(":")[:2]) for item in items)
    return list(filter(is_reference, parts))


def require_known(flag: str, text: str, known: Sequence[str], expected: str) -> None:
    """Refuses a flag's value that is neither a name known here nor a reference.

    Args:
        flag: Its name, without dashes.
        text: Its value.
        known: The names.
        expected: What a reference names, such as "function".

    Raises:
        UserError: It is neither.
    """
    if text in known or is_reference(text):
        return
    example = f"package.module:{expected}, such as mine:my_{flag}"
    require(":" not in text, flag, text, f"{example}, or one of {', '.join(known)}")
    raise unknown(flag, text, known)


def load(flag: str, reference: str) -> Any:
    """What `package.module:name` names; its module is run once in a process.

    Or what a Python program handed over: see `given`.

    Args:
        flag: That has the reference as its value, without dashes.
        reference: Of the part.

    Raises:
        UserError: There is no such module, or it has no such name.
        Exception: What the user's code raises when it is run, with a note of the file.
    """
    if (held := given.find(flag, reference)) is not None:
        return held
    require(is_reference(reference), flag, reference, FORM)
    asked = f"--{flag}={reference}"
    module_name, _, name = reference.partition(":")
    module = _module(asked, module_name)
    if not hasattr(module, name):
        defined = _defined_in(module)
        listed = ", ".join(defined) if defined else "nothing of that kind"
        folder = _working_folder()
        elsewhere = f", and {folder.path} has no {module_name}.py"
        raise UserError(
            f"{asked}: {module.__file__} has no {name!r}{did_you_mean(name, defined)}; "
            f"it defines {listed}{'' if folder.has(module_name) else elsewhere}"
        )
    _note(reference, module)
    return getattr(module, name)


def load_callable(flag: str, reference: str) -> Callable[..., Any]:
    """The function or class that `package.module:name` names; see `load`.

    Raises:
        UserError: It is something else.
    """
    part = load(flag, reference)
    if not callable(part):
        raise UserError(
            f"--{flag}={reference} is of type {type(part).__name__}: expected a "
            "function or a class"
        )
    return part


def require_takes(flag: str, reference: str, part: Any, signature: str) -> None:
    """Refuses a function that cannot be called as it will be.

    Args:
        flag: That has the reference as its value, without dashes.
        reference: Of the function.
        part: The function.
        signature: Its arguments and what it gives, such as `(labels, outputs) -> [B]`.

    Raises:
        UserError: It takes other arguments.
    """
    names = signature.partition(")")[0].strip("(")
    arguments = names.split(",") if names else []
    try:
        found = inspect.signature(part)
    except (TypeError, ValueError):
        return  # written in C: the call itself will tell
    try:
        found.bind(*arguments)
    except TypeError:
        name = reference.partition(":")[2]
        raise UserError(
            f"--{flag}={reference} takes {found}: expected {name}{signature}"
        ) from None


def described(references: Iterable[str]) -> list[dict[str, str]]:
    """What environment.json says of parts that were loaded, and of what they import."""
    named = [_loaded[one] for one in dict.fromkeys(references) if one in _loaded]
    if not named:
        return []
    known = {part.path for part in named}
    others = [part for part in _imported_beside() if part.path not in known]
    return [part.to_json() for part in (*named, *others)]


def changes(
    before: Iterable[Mapping[str, str]], now: Iterable[Mapping[str, str]]
) -> list[str]:
    """A line for each file that is not what it was.

    Args:
        before: As `described` gave it at an earlier start.
        now: As it gives it now.
    """
    earlier = {part["reference"]: part for part in before}
    lines: dict[str, str] = {}
    for part in now:
        was = earlier.get(part["reference"])
        if was is not None and was["sha256"] != part["sha256"]:
            lines[part["path"]] = (
                f"{part['path']} ({part['reference']}) has changed since the run was "
                f"last started: SHA-256 {was['sha256'][:12]}… then, "
                f"{part['sha256'][:12]}… now; it is used as it is now"
            )
    return list(lines.values())


def _module(asked: str, name: str) -> types.ModuleType:
    """The module `name`, of the user's folder or installed."""
    folder = _working_folder()
    file = folder.file_of(name)
    try:
        return folder.load(name) if file else importlib.import_module(name)
    except ModuleNotFoundError as error:
        missing = folder.short(error.name or "")
        if not missing or not f"{name}.".startswith(f"{missing}."):
            _tell_where(error, asked, file or name)
            raise  # the module is there; something that it imports is not
        hint = did_you_mean(name, folder.names())
        raise UserError(
            f"{asked}: no module {name!r} in the working directory, {folder.path}, "
            f"or among the installed packages{hint}; expected {FORM}"
        ) from None
    except Exception as error:
        _tell_where(error, asked, file or name)
        raise


def _tell_where(error: Exception, asked: str, file: pathlib.Path | str) -> None:
    error.add_note(f"{asked}: this was raised while {file} was run")


def _defined_in(module: types.ModuleType) -> list[str]:
    """Functions and classes that a module defines itself."""
    return [
        name
        for name, value in vars(module).items()
        if not name.startswith("_")
        and callable(value)
        and getattr(value, "__module__", None) == module.__name__
    ]


def _note(reference: str, module: types.ModuleType) -> None:
    """Keeps what was run: its path and SHA-256."""
    if module.__file__ is None:
        return
    path = pathlib.Path(module.__file__)
    digest = _working_folder().sha256.get(path)
    if digest is None:  # an installed package
        from base.files import sha256_of

        digest = sha256_of(path)
    _loaded[reference] = OwnPart(reference, str(path), digest)


def _imported_beside() -> list[OwnPart]:
    """Every file of the user's folder that was run, by its module's name."""
    folder = _working_folder()
    parts = []
    for path, digest in sorted(folder.sha256.items()):
        relative = path.relative_to(folder.path).with_suffix("")
        name = ".".join(p for p in relative.parts if p != "__init__")
        parts.append(OwnPart(name, str(path), digest))
    return parts


def _working_folder() -> "OwnFolder":
    from base import own_modules  # here, as --help needs nothing of it

    return own_modules.working_folder()
