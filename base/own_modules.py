"""Python files of the user's own, imported by where they lie.

A user's `models.py` and Atelier's room `models` have one name, and a process has one
module a name. So the user's folder is imported as a package with a private name, and
what its files import from one another is looked up there first. Read `OwnFolder`.
"""

import builtins
import hashlib
import importlib
import importlib.abc
import importlib.machinery
import pathlib
import sys
import types
from collections.abc import Mapping, Sequence
from typing import Any

# The folder that Atelier's own rooms lie in: they are not the user's.
_ATELIER = pathlib.Path(__file__).resolve().parents[1]
_PRIVATE = "_own"


class OwnFolder:
    """A folder whose Python files are the user's.

    Args:
        path: of the folder.
        package: name of the private package that it is imported as.

    Attributes:
        sha256: of each file that was run, by its path: of the very bytes.
    """

    def __init__(self, path: pathlib.Path, package: str) -> None:
        self.path = path
        self.package = package
        self.sha256: dict[pathlib.Path, str] = {}
        module = types.ModuleType(package)
        module.__path__ = [str(path)]
        sys.modules[package] = module
        sys.meta_path.insert(0, _Finder(self))

    def has(self, name: str) -> bool:
        """Whether `package.module` is a file here, or a package.

        So `models.tasks` is Atelier's where there is a file `models.py` and no more.
        """
        return self.file_of(name) is not None

    def file_of(self, name: str) -> pathlib.Path | None:
        """The file that is run for `package.module`, or None."""
        first, *_ = parts = name.split(".")
        if self.path == _ATELIER and (self.path / first / "__init__.py").exists():
            return None
        place = self.path.joinpath(*parts)
        files = (place / "__init__.py", place.with_name(f"{place.name}.py"))
        return next((file for file in files if file.is_file()), None)

    def names(self) -> list[str]:
        """The modules that can be imported from here by one word."""
        files = [path.stem for path in self.path.glob("*.py")]
        packages = [path.parent.name for path in self.path.glob("*/__init__.py")]
        return sorted(name for name in (*files, *packages) if self.has(name))

    def load(self, name: str) -> types.ModuleType:
        """The module `package.module`, which is run the first time.

        Raises:
            ModuleNotFoundError: there is none; or one that it imports is missing.
            Exception: whatever the user's code raises.
        """
        importlib.invalidate_caches()  # files may be newer than the last look
        return importlib.import_module(f"{self.package}.{name}")

    def short(self, name: str) -> str:
        """A module's name as the user knows it."""
        return name.removeprefix(f"{self.package}.")

    def import_for_user(
        self,
        name: str,
        names: Mapping[str, Any] | None = None,
        local_names: Mapping[str, Any] | None = None,
        wanted: Sequence[str] | None = (),
        level: int = 0,
    ) -> types.ModuleType:
        """`__import__` of the user's files: siblings first, then as everywhere."""
        in_folder = [name, *(f"{name}.{one}" for one in wanted or ())]
        if level or not any(map(self.has, in_folder)):
            return builtins.__import__(name, names, local_names, wanted or (), level)
        private = f"{self.package}.{name}"
        module = builtins.__import__(private, names, local_names, wanted or (), 0)
        if wanted:
            return module
        return sys.modules[f"{self.package}.{name.partition('.')[0]}"]


class _Loader(importlib.machinery.SourceFileLoader):
    """Runs a file of the user's, and notes what was run.

    Bytecode of an earlier run is not used: it goes by the file's time, and a file may
    be written twice in a second.
    """

    def __init__(self, fullname: str, path: str, folder: OwnFolder) -> None:
        super().__init__(fullname, path)
        self._folder = folder

    def path_stats(self, path: str) -> Mapping[str, Any]:
        """None are told, so that no bytecode is read or written."""
        raise OSError

    def get_data(self, path: str) -> bytes:
        """The file's bytes."""
        content = super().get_data(path)
        digest = hashlib.sha256(content).hexdigest()
        self._folder.sha256[pathlib.Path(path)] = digest
        return content

    def exec_module(self, module: types.ModuleType) -> None:
        """Runs it, with imports of its own."""
        own = {"__import__": self._folder.import_for_user}
        module.__dict__["__builtins__"] = vars(builtins) | own
        super().exec_module(module)


class _Finder(importlib.abc.MetaPathFinder):
    """Finds the modules of a private package."""

    def __init__(self, folder: OwnFolder) -> None:
        self._folder = folder

    def find_spec(
        self, fullname: str, path: Any, target: Any = None
    ) -> importlib.machinery.ModuleSpec | None:
        """The module's, with our loader; None for other packages."""
        if not fullname.startswith(f"{self._folder.package}."):
            return None
        spec = importlib.machinery.PathFinder.find_spec(fullname, path, target)
        if spec is not None and isinstance(
            spec.loader, importlib.machinery.SourceFileLoader
        ):
            assert spec.origin is not None
            spec.loader = _Loader(fullname, spec.origin, self._folder)
        return spec


_folders: dict[pathlib.Path, OwnFolder] = {}


def working_folder() -> OwnFolder:
    """The working directory as the user's folder: the same one each time."""
    path = pathlib.Path.cwd()
    if path not in _folders:
        _folders[path] = OwnFolder(path, f"{_PRIVATE}{len(_folders) or ''}")
    return _folders[path]
