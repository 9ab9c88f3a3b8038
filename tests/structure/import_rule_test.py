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
        ("tuning", "from models import registry"),
        ("app", "from absl import flags\nimport models, pipelines, tuning"),
        ("app", "import tensorflow as tf\ntf.distribute.get_strategy()"),
    )
    def test_what_is_allowed_passes(self, room: str, code: str) -> None:
        self.assertEqual(import_rule.breaches(self._tree(room, code)), [])

    def _tree(self, room: str, code: str) -> pathlib.Path:
        root = pathlib.Path(self.get_temp_dir())
        (root / room).mkdir()
        (root / room / "made_up.py").write_text(code)
        return root


if __name__ == "__main__":
    tf.test.main()
