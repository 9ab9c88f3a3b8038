"""What `package.module:name` stands for: the user's files before Atelier's rooms."""

import hashlib
import os
import pathlib
import subprocess
import sys

import pytest
from absl.testing import absltest, parameterized

from base import own_modules, own_parts
from base.errors import UserError
from tests.own_folder import OwnFolderTestCase


class LookUpTest(OwnFolderTestCase):
    @parameterized.parameters("models", "app", "base", "pipelines", "losses", "json")
    def test_a_file_beside_the_data_is_found_whatever_its_name(self, name: str) -> None:
        self.write(f"{name}.py", "def mine():\n    return __file__\n")
        found = own_parts.load("loss", f"{name}:mine")
        self.assertEqual(found(), str(self.folder / f"{name}.py"))

    def test_atelier_keeps_its_own_room(self) -> None:
        import models.spec

        self.write("models.py", "Inputs = 1")
        self.assertEqual(own_parts.load("loss", "models:Inputs"), 1)
        self.assertIs(sys.modules["models.spec"], models.spec)
        # What is not in the user's file is Atelier's: `from models.spec import …`.
        found = own_parts.load("loss", "models.spec:Inputs")
        self.assertIs(found, models.spec.Inputs)

    def test_without_a_private_name_atelier_would_hide_it(self) -> None:
        # The control: by its name alone, the import gives the room.
        self.write("models.py", "here = 1")
        import importlib

        self.assertFalse(hasattr(importlib.import_module("models"), "here"))

    def test_installed_packages_come_last(self) -> None:
        self.assertIs(own_parts.load("loss", "os.path:join"), os.path.join)

    def test_a_module_is_run_once(self) -> None:
        self.write("once.py", "runs = []\nruns.append(1)\ndef f(): return runs\n")
        own_parts.load("loss", "once:f")
        self.assertEqual(own_parts.load("metrics", "once:f")(), [1])

    def test_siblings_are_imported_in_every_form(self) -> None:
        self.write("models.py", "width = 3\n")
        self.write("pack/__init__.py", "")
        self.write("pack/inner.py", "from . import other\nfrom .other import depth\n")
        self.write("pack/other.py", "depth = 5\n")
        self.write("bare/space.py", "height = 7\n")
        self.write(
            "mine.py",
            """
            import os.path
            import models
            import pack.inner as inner
            from bare.space import height
            from models import width
            from models.spec import Inputs
            from pack import other

            def late():
                from pack.other import depth
                return depth

            def all_of_it():
                assert inner.other is other and models.width is width
                return width, inner.depth, height, late(), Inputs.__name__
            """,
        )
        found = own_parts.load("model", "mine:all_of_it")()
        self.assertEqual(found, (3, 5, 7, 5, "Inputs"))

    def test_another_folder_has_its_own(self) -> None:
        self.write("mine.py", "def f(): return 1\n")
        self.write("sub/mine.py", "def f(): return 2\n")
        first = own_parts.load("loss", "mine:f")
        os.chdir(self.folder / "sub")
        self.assertEqual((first(), own_parts.load("loss", "mine:f")()), (1, 2))

    @pytest.mark.process
    def test_python_dash_m_finds_atelier_beside_such_a_file(self) -> None:
        self.write("models.py", "raise RuntimeError('the room was looked for here')")
        root = pathlib.Path(own_modules.__file__).parents[1]
        ended = subprocess.run(
            [sys.executable, "-m", "app.main", "train", "--helpfull"],
            env={**os.environ, "PYTHONPATH": str(root)},
            capture_output=True,
            text=True,
            check=False,
        )
        self.assertEqual((ended.returncode, ended.stderr), (0, ""))


class MistakesTest(OwnFolderTestCase):
    @parameterized.parameters(
        ("mine:loss", "mine.py has no 'loss' .did you mean 'my_loss'"),
        ("mime:my_loss", "no module 'mime' in the working directory.*mean 'mine'"),
        ("mine.deeper:f", "no module 'mine.deeper'"),
        ("mine.py:my_loss", "no module 'mine.py'"),
        ("models:net", "has no 'net'.*has no models.py"),
        ("mine", "expected package.module:name"),
        (":f", "expected package.module:name"),
        ("mine:f:g", "expected package.module:name"),
    )
    def test_mistakes_have_one_line(self, reference: str, line: str) -> None:
        self.write("mine.py", "import os\ndef my_loss(labels, outputs): return 0\n")
        with self.assertRaisesRegex(UserError, line) as caught:
            own_parts.load("loss", reference)
        self.assertNotIn("\n", str(caught.exception))

    def test_another_signature_is_one_line(self) -> None:
        self.write("mine.py", "def f(labels): return labels\n")
        part = own_parts.load_callable("loss", "mine:f")
        expected = r"--loss=mine:f takes \(labels\): expected f\(labels, outputs\) -> "
        with self.assertRaisesRegex(UserError, expected):
            own_parts.require_takes("loss", "mine:f", part, "(labels, outputs) -> [B]")

    def test_a_value_is_no_function(self) -> None:
        self.write("mine.py", "width = 3\n")
        with self.assertRaisesRegex(UserError, "of type int: expected a function"):
            own_parts.load_callable("loss", "mine:width")

    @parameterized.parameters(
        ("1 / 0", ZeroDivisionError),
        ("import not_installed_anywhere", ModuleNotFoundError),
        ("def f(:", SyntaxError),
    )
    def test_exceptions_of_the_users_code_are_theirs(
        self, text: str, kind: type[Exception]
    ) -> None:
        path = self.write("mine.py", text)
        with self.assertRaises(kind) as caught:
            own_parts.load("loss", "mine:f")
        self.assertIn("--loss=mine:f", caught.exception.__notes__[0])
        self.assertIn(str(path), caught.exception.__notes__[0])


class RecordTest(OwnFolderTestCase):
    def test_what_was_run_is_recorded(self) -> None:
        path = self.write("mine.py", "import beside\ndef f(): return 0\n")
        beside = self.write("beside.py", "")
        own_parts.load("loss", "mine:f")
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        empty = hashlib.sha256(b"").hexdigest()
        path.write_text("def f(): return 1\n")  # not what was run
        expected = [
            {"reference": "mine:f", "path": str(path), "sha256": digest},
            {"reference": "beside", "path": str(beside), "sha256": empty},
        ]
        self.assertEqual(own_parts.described(["mine:f"]), expected)
        self.assertEqual(own_parts.described(["mine:other"]), [])

    def test_changes_are_named_once_a_file(self) -> None:
        before = [
            {"reference": name, "path": "/x/mine.py", "sha256": "1" * 64}
            for name in ("mine:f", "mine:g")
        ]
        now = [part | {"sha256": "2" * 64} for part in before]
        (line,) = own_parts.changes(before, now)
        self.assertStartsWith(line, "/x/mine.py (mine:g) has changed")
        self.assertEmpty(own_parts.changes(before, before))
        self.assertEmpty(own_parts.changes([], now))

    def test_bytecode_of_an_earlier_run_is_not_used(self) -> None:
        path = self.write("mine.py", "def f(): return 1\n")
        own_parts.load("loss", "mine:f")
        self.assertEmpty(list(path.parent.glob("__pycache__/*")))

    @parameterized.parameters(
        ("mine:f", ["mine:f"]),
        ("mine:f:max, b.c:D", ["mine:f", "b.c:D"]),
        ("flip,shift=2,mine:blur", ["mine:blur"]),
        ("clean=mine:data,noisy=b.c:D,far=folder", ["mine:data", "b.c:D"]),
        ("adamw", []),
        ("tfds:mnist/3.*.*", []),
    )
    def test_references_are_read_off_flags(
        self, text: str, references: list[str]
    ) -> None:
        self.assertEqual(own_parts.references_in(text), references)


if __name__ == "__main__":
    absltest.main()
