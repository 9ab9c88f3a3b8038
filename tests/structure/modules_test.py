"""Every module says what lives in it, stays short, and is installed with its room."""

import ast
import pathlib
import tomllib

import setuptools
import tensorflow as tf
from packaging.requirements import Requirement

from tests.structure.import_rule import ROOMS

ROOT = pathlib.Path(__file__).parents[2]


def modules(root: pathlib.Path) -> list[pathlib.Path]:
    """Every module of the rooms, the tests and the benchmarks under `root`."""
    folders = (*ROOMS, "tests", "benchmarks")
    return sorted(path for name in folders for path in (root / name).rglob("*.py"))


def without_docstring(root: pathlib.Path) -> list[str]:
    return [
        str(path.relative_to(root))
        for path in modules(root)
        if not ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
    ]


def longer_than(lines: int, root: pathlib.Path) -> list[str]:
    return [
        str(path.relative_to(root))
        for path in modules(root)
        if len(path.read_text(encoding="utf-8").splitlines()) > lines
    ]


def not_packaged(root: pathlib.Path) -> list[str]:
    """Folders of the rooms that hold modules and that setup.py would leave out."""
    found = set(
        setuptools.find_packages(
            str(root), include=[name for room in ROOMS for name in (room, f"{room}.*")]
        )
    )
    folders = {path.parent for room in ROOMS for path in (root / room).rglob("*.py")}
    names = {".".join(folder.relative_to(root).parts) for folder in folders}
    return sorted(names - found)


class ModulesTest(tf.test.TestCase):
    def test_every_module_has_a_docstring(self) -> None:
        self.assertEqual(without_docstring(ROOT), [])

    def test_no_module_is_too_long_to_read(self) -> None:
        self.assertEqual(longer_than(400, ROOT), [])

    def test_every_module_is_installed(self) -> None:
        self.assertEqual(not_packaged(ROOT), [])

    def test_the_checks_notice(self) -> None:
        root = pathlib.Path(self.get_temp_dir())
        (root / "models" / "layers").mkdir(parents=True)
        (root / "models" / "__init__.py").write_text('"""Models."""\n')
        (root / "models" / "layers" / "noise.py").write_text("x = 1\n" * 401)
        self.assertEqual(without_docstring(root), ["models/layers/noise.py"])
        self.assertEqual(longer_than(400, root), ["models/layers/noise.py"])
        self.assertEqual(not_packaged(root), ["models.layers"])


class RequirementsTest(tf.test.TestCase):
    def test_pinned_versions_satisfy_setup(self) -> None:
        pinned = {
            name.lower().replace("_", "-"): version
            for name, _, version in (
                line.partition("==")
                for line in (ROOT / "requirements.txt").read_text().splitlines()
                if line and not line.startswith("#")
            )
        }
        for requirement in self._declared():
            name = requirement.name.lower().replace("_", "-")
            self.assertIn(name, pinned)
            self.assertIn(pinned[name], requirement.specifier, str(requirement))

    def test_mypy_reads_every_room(self) -> None:
        settings = tomllib.loads((ROOT / "pyproject.toml").read_text())
        self.assertCountEqual(settings["tool"]["mypy"]["packages"], ROOMS)

    def _declared(self) -> list[Requirement]:
        """The direct dependencies in setup.py, extras included."""
        declared: list[Requirement] = []
        for node in ast.walk(ast.parse((ROOT / "setup.py").read_text())):
            if isinstance(node, ast.keyword) and node.arg == "install_requires":
                declared += map(Requirement, ast.literal_eval(node.value))
            elif isinstance(node, ast.keyword) and node.arg == "extras_require":
                for extra in ast.literal_eval(node.value).values():
                    declared += map(Requirement, extra)
        self.assertGreater(len(declared), 15)
        return declared


if __name__ == "__main__":
    tf.test.main()
