"""The files of a run folder are named once, and its results.json is read once."""

import ast
import pathlib

import tensorflow as tf

import app
from app.run_files import RunFiles
from base.errors import UserError

ROOM = pathlib.Path(app.__file__).parent


def naming(name: str, root: pathlib.Path) -> list[str]:
    """Modules that hold `name` as a string."""
    return [
        str(path.relative_to(root))
        for path in sorted(root.rglob("*.py"))
        if any(
            isinstance(node, ast.Constant) and node.value == name
            for node in ast.walk(ast.parse(path.read_text()))
        )
    ]


class RunFilesTest(tf.test.TestCase):
    def setUp(self) -> None:
        super().setUp()
        self.files = RunFiles(pathlib.Path(self.get_temp_dir()))

    def test_nothing_is_read_before_a_start(self) -> None:
        self.assertEqual(self.files.read_results(), {})
        self.assertEqual(self.files.read_dataset(), {})

    def test_what_is_no_object_is_named(self) -> None:
        for content in ("", "{", "[1]", '"text"', b"\xff\xfe".decode("latin-1")):
            self.files.results.write_text(content)
            with self.assertRaisesRegex(UserError, "results.json: expected"):
                self.files.read_results()

    def test_names_stand_in_one_place(self) -> None:
        for name in ("results.json", "metrics.jsonl", "dataset.json", "flags.txt"):
            self.assertEqual(naming(name, ROOM), ["run_files.py"], name)

    def test_a_second_place_is_noticed(self) -> None:
        (self.files.path / "other.py").write_text('path / "results.json"\n')
        self.assertEqual(naming("results.json", self.files.path), ["other.py"])


if __name__ == "__main__":
    tf.test.main()
