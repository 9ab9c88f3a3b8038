"""What `--help` needs loads no TensorFlow: configs, errors, specs and the registry."""

import pathlib
import subprocess
import sys

import pytest
import tensorflow as tf

from tests.structure.import_rule import ROOMS

pytestmark = pytest.mark.process

ROOT = pathlib.Path(__file__).parents[2]
HEAVY = ("tensorflow", "numpy", "keras")
LIGHT_FILES = ("config.py", "errors.py", "spec.py", "registry.py")
ALSO_LIGHT = (
    "app.main",
    "app.reporting.metrics",
    "app.reporting.progress",
    "pipelines.features",
)


def light_modules() -> list[str]:
    """Dotted names of the modules that have to load without the heavy libraries."""
    found = [
        ".".join(path.relative_to(ROOT).with_suffix("").parts)
        for room in ROOMS
        for path in sorted((ROOT / room).glob("*.py"))
        if path.name in LIGHT_FILES
    ]
    configs = sorted((ROOT / "app" / "configs").glob("*.py"))
    found += [f"app.configs.{path.stem}" for path in configs]
    return [*found, *ALSO_LIGHT]


def heavy_after(statement: str) -> str:
    """Names of the heavy libraries loaded by `statement` in a fresh interpreter."""
    report = f"print([name for name in {HEAVY!r} if name in sys.modules])"
    ran = subprocess.run(
        [sys.executable, "-c", f"import sys; {statement}; {report}"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    return ran.stdout.strip() or ran.stderr


class LightImportsTest(tf.test.TestCase):
    def test_configs_load_no_tensorflow(self) -> None:
        statement = "import " + ", ".join(light_modules())
        self.assertEqual(heavy_after(statement), "[]", statement)

    def test_the_rooms_have_configs(self) -> None:
        for name in ("app.configs.commands", "models.config", "pipelines.config"):
            self.assertIn(name, light_modules())

    def test_a_heavy_import_is_noticed(self) -> None:
        self.assertEqual(heavy_after("import numpy"), "['numpy']")


if __name__ == "__main__":
    tf.test.main()
