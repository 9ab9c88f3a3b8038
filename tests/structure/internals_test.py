"""Private parts of TensorFlow, Keras and KerasTuner are reached in few files."""

import ast
import pathlib
import re
import tempfile

import tensorflow as tf
from absl.testing import parameterized

from tests.structure import internals

ROOT = pathlib.Path(__file__).parents[2]


class InternalsTest(tf.test.TestCase, parameterized.TestCase):
    def test_nothing_reaches_into_a_library_but_what_may(self) -> None:
        self.assertEqual(internals.breaches(ROOT), [])

    def test_what_may_is_there_and_is_what_the_check_leaves_out(self) -> None:
        for name in internals.FENCED:
            self.assertTrue((ROOT / name).is_file(), name)
            room = name.partition("/")[0]
            found = self.breaches(room, (ROOT / name).read_text())
            self.assertNotEmpty(found, f"{name} reaches into nothing")

    def test_the_page_lists_what_may_and_no_more(self) -> None:
        page = (ROOT / "docs/internals.md").read_text(encoding="utf-8")
        chapters = re.split(r"^## `(.*)`$", page, flags=re.MULTILINE)[1:]
        listed = dict(zip(chapters[::2], chapters[1::2], strict=True))
        self.assertCountEqual(listed, internals.FENCED)
        for name, chapter in listed.items():
            names = re.findall(
                r"^\| `(\w+)` \| \S.* \| \S.* \|$", chapter, re.MULTILINE
            )
            tree = ast.parse((ROOT / name).read_text(encoding="utf-8"))
            self.assertEqual(names, public_parts(tree), name)

    @parameterized.parameters(
        ("app", "strategy.extended._update = 1", "strategy.extended._update"),
        ("models", "layers = model._layers", "model._layers"),
        ("models", "inner = getattr(model, '_functional', None)", "_functional"),
        ("models", "from tensorflow.python.eager import context", "tensorflow.python"),
        ("app", "import keras.src.layers", "keras.src"),
        ("tuning", "from keras_tuner.engine import trial", "keras_tuner.engine"),
        (
            "tuning",
            "class A(B):\n def f(self): return self._brackets",
            "self._brackets",
        ),
        (
            "tuning",
            "class A(B):\n def f(self):\n  self._random_state = 1",
            "self._random_state",
        ),
        ("tuning", "class A(B):\n def _save_trial(self, t): pass", "_save_trial"),
        ("models", "class A(B):\n def f(self): return super()._x()", "super()._x"),
    )
    def test_a_breach_is_found(self, room: str, code: str, named: str) -> None:
        (found,) = self.breaches(room, code)
        self.assertStartsWith(found, f"{room}/made_up.py:")
        self.assertIn(named, found)

    @parameterized.parameters(
        ("class A:\n def __init__(self): self._x = 1\n def f(self): return self._x",),
        ("class A:\n def _f(self): pass\n def g(self, other): return other._f()",),
        ("batch = batch._replace(inputs=1)",),
        ("import os\nos._exit(0)",),
        ("_X = 1\ny = _X",),
        ("class A:\n def __init__(self): super().__init__()",),
    )
    def test_what_is_our_own_passes(self, code: str) -> None:
        self.assertEqual(self.breaches("app", code), [])

    def breaches(self, room: str, code: str) -> list[str]:
        root = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
        (root / room).mkdir()
        (root / room / "made_up.py").write_text(code)
        return internals.breaches(root)


def public_parts(tree: ast.Module) -> list[str]:
    """The functions and classes of a module, but for those that are its own."""
    kinds = (ast.FunctionDef, ast.ClassDef)
    found = [node.name for node in tree.body if isinstance(node, kinds)]
    return [name for name in found if not name.startswith("_")]


if __name__ == "__main__":
    tf.test.main()
