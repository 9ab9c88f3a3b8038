"""The rooms import one another as the rule allows, and a breach would be noticed."""

import pathlib

import tensorflow as tf
from absl.testing import parameterized

from tests.structure import import_rule

ROOT = pathlib.Path(__file__).parents[2]


class ImportRuleTest(tf.test.TestCase, parameterized.TestCase):
    def test_rooms_import_only_what_they_may(self) -> None:
        self.assertEqual(import_rule.breaches(ROOT), [])

    def test_rooms_are_where_the_check_looks(self) -> None:
        for room in ("app", "models", "pipelines"):
            modules = list((ROOT / room).rglob("*.py"))
            self.assertGreater(len(modules), 3, f"{room}/ holds no code to check")

    @parameterized.parameters(
        ("models", "import app", "app"),
        ("models", "import pipelines.order as order", "pipelines.order"),
        ("models", "from pipelines import order", "pipelines.order"),
        ("models", "def f():\n    from tuning import oracles", "tuning.oracles"),
        ("pipelines", "from models.spec import Inputs", "models.spec.Inputs"),
        ("pipelines", "from absl import flags", "absl.flags"),
        ("pipelines", "import absl.flags", "absl.flags"),
        ("pipelines", "import os\nhome = os.environ['HOME']", "os.environ"),
        ("pipelines", "from os import getenv", "os.getenv"),
        ("tuning", "import app.main", "app.main"),
        ("tuning", "from pipelines import order", "pipelines.order"),
        ("models", "import tensorflow as tf\ntf.distribute.get_strategy()", None),
        ("models", "from tensorflow import distribute", "tensorflow.distribute"),
        ("models", "import importlib\nimportlib.import_module('app.main')", "app.main"),
        ("app", "from benchmarks import pipeline", "benchmarks.pipeline"),
        ("app", "import atelier", "atelier"),
        ("base", "from atelier import run", "atelier.run"),
        ("atelier", "from tests import processes", "tests.processes"),
        ("atelier", "from absl import flags", "absl.flags"),
    )
    def test_breach_is_found(self, room: str, code: str, name: str | None) -> None:
        found = import_rule.breaches(self._tree(room, code))
        self.assertNotEmpty(found)
        self.assertIn(name or "tensorflow.distribute", " ".join(found))
        self.assertStartsWith(found[0], f"{room}/made_up.py:")

    @parameterized.parameters(
        ("models", "import tensorflow as tf\ntf.data.Dataset.range(3)"),
        ("models", "import os\nos.path.join('a', 'b')"),
        ("pipelines", "from pipelines import order"),
        ("pipelines", "'import app'"),
        ("atelier", "from app.runs import train\nimport base.given"),
        ("tuning", "from models import registry"),
        ("app", "from absl import flags\nimport models, pipelines, tuning"),
        ("app", "import tensorflow as tf\ntf.distribute.get_strategy()"),
    )
    def test_what_is_allowed_passes(self, room: str, code: str) -> None:
        self.assertEqual(import_rule.breaches(self._tree(room, code)), [])

    def _tree(self, room: str, code: str) -> pathlib.Path:
        return write_tree(self.get_temp_dir(), {f"{room}/made_up.py": code})


class LevelsTest(tf.test.TestCase, parameterized.TestCase):
    """The parts of `app`: breaches of theirs are among those above."""

    def test_each_part_has_a_level(self) -> None:
        self.assertEqual(import_rule.parts_without_level(ROOT), [])

    def test_a_part_without_a_level_is_found(self) -> None:
        root = write_tree(self.get_temp_dir(), {"app/drawer/odds.py": ""})
        self.assertEqual(import_rule.parts_without_level(root), ["drawer"])

    @parameterized.parameters(
        ("training/step", "from app.runs import folder"),
        ("training/step", "from app.reporting.metrics import MetricsLog"),
        ("configs/flags", "import app.training.loop"),
        ("distribution/peers", "def f():\n    from app.training import loop"),
        ("reporting/figures", "from app.runs.folder import RunFolder"),
        ("serving/predict", "from app.searching import trial"),
        ("searching/trial", "def train():\n    from app.main import main"),
        ("searching/trial", "import importlib\nimportlib.import_module('app.main')"),
        ("runs/train", "from app.commands import train"),
        ("commands/tune", "from app import main"),
        ("tf_startup", "from app.configs import flags"),
        ("tf_startup", "from app import caches"),
        ("__init__", "from app import main"),
    )
    def test_an_arrow_upward_is_found(self, module: str, code: str) -> None:
        root = write_tree(self.get_temp_dir(), {f"app/{module}.py": code})
        found = import_rule.breaches(root)
        self.assertNotEmpty(found)
        self.assertStartsWith(found[0], f"app/{module}.py:")

    @parameterized.parameters(
        ("training/step", "from app.training import state\nfrom app.configs import a"),
        ("training/step", "from app.distribution import agreement\nimport app"),
        ("runs/train", "from app.reporting import summary\nfrom app import caches"),
        ("serving/predict", "from app.runs import folder\nfrom base import files"),
        ("commands/tune", "from app.commands import train\nimport app.searching.agent"),
        ("main", "from app.commands import train\nfrom app import tf_startup"),
    )
    def test_an_arrow_downward_passes(self, module: str, code: str) -> None:
        root = write_tree(self.get_temp_dir(), {f"app/{module}.py": code})
        self.assertEqual(import_rule.breaches(root), [])


class CirclesTest(tf.test.TestCase, parameterized.TestCase):
    def test_no_room_has_a_circle(self) -> None:
        self.assertEqual(import_rule.circles(ROOT), [])

    @parameterized.parameters(
        ("from models import b", "import models.a", "models.a → models.b → models.a"),
        ("from models import b", "def f():\n    from models.a import f", "models.b"),
        ("def f():\n    import models.b", "def f():\n    import models.a", "models.b"),
        ("from models.c import d", "from models.a import x", "models.c.d"),
    )
    def test_a_circle_is_found(self, a: str, b: str, expected: str) -> None:
        root = self._tree(a, b)
        (found,) = import_rule.circles(root)
        self.assertIn(expected, f"{found} → {found}")

    def test_a_circle_through_a_package_is_found(self) -> None:
        root = self._tree("from models.c.e import x", "", c="import models.a")
        self.assertNotEmpty(import_rule.circles(root))

    @parameterized.parameters(
        ("from models import b", "import base.errors"),
        (
            "from models import b",
            "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import models.a",
        ),
        ("from models import b, c\nfrom models.c import d", "from models.c import e"),
    )
    def test_what_is_none_passes(self, a: str, b: str) -> None:
        self.assertEqual(import_rule.circles(self._tree(a, b)), [])

    def _tree(self, a: str, b: str, c: str = "from models.c import e") -> pathlib.Path:
        """Two modules, and a package with a module that imports the second."""
        package = {
            "__init__": '"""A package."""',
            "c/__init__": c,
            "c/d": "from models import b",
            "c/e": "from models import c",
        }
        modules = {"a": a, "b": b} | package
        files = {f"models/{name}.py": code for name, code in modules.items()}
        return write_tree(self.get_temp_dir(), files)


def write_tree(folder: str, modules: dict[str, str]) -> pathlib.Path:
    """Writes source files by their paths; returns the folder."""
    root = pathlib.Path(folder)
    for name, code in modules.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(code)
    return root


if __name__ == "__main__":
    tf.test.main()
