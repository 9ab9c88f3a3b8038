"""The helpers of the ground floor stand once, and a copy would be noticed."""

import ast
import pathlib

import tensorflow as tf
from absl.testing import parameterized

from tests.structure import once

DIGEST = "import hashlib\ndef f(path):\n    digest = hashlib.sha256()\n"
ROOT = pathlib.Path(__file__).parents[2]


class OnceTest(tf.test.TestCase, parameterized.TestCase):
    def test_no_room_has_a_copy(self) -> None:
        self.assertEqual(once.copies(ROOT), [])

    def test_the_ground_floor_has_each(self) -> None:
        for check, (find, home) in once.CHECKS.items():
            tree = ast.parse((ROOT / home).read_text())
            self.assertNotEmpty([*find(tree)], f"{home}: {check}")

    @parameterized.parameters(
        ("misspelt names", "import difflib"),
        ("misspelt names", "def f():\n    from difflib import get_close_matches"),
        ("renames", "import os\nos.replace('a', 'b')"),
        ("renames", "from os import rename"),
        ("renames", "import shutil\nshutil.move('a', 'b')"),
        ("renames", "import pathlib\npathlib.Path('a').rename('b')"),
        ("renames", "import pathlib\npathlib.Path('a').replace('b')"),
        ("sha256", "import hashlib\nhashlib.file_digest(open('a', 'rb'), 'sha256')"),
        ("sha256", f"{DIGEST}    with open(path, 'rb') as file:\n        file.read(1)"),
        ("sha256", f"{DIGEST}    digest.update(path.read_bytes())"),
        ("sha256", "from hashlib import sha256\ndigest = sha256(path.read_bytes())"),
        ("flags", "import dataclasses\ndataclasses.field(metadata={'help': ''})"),
        ("refusals", "raise UserError(f'--{name}={value}: expected 1 or more')"),
        ("cache folders", "import os\nos.environ['XDG_CACHE_HOME']"),
        ("cache folders", "import pathlib\npathlib.Path.home()"),
    )
    def test_a_copy_is_found(self, check: str, code: str) -> None:
        found = once.copies(self._tree(code))
        self.assertLen(found, 1)
        self.assertStartsWith(found[0], "models/made_up.py:")
        self.assertIn(f" {check}: ", found[0])

    @parameterized.parameters(
        "'a-b'.replace('-', '_')",
        "import hashlib\nhashlib.sha256(b'text').digest()",
        f"{DIGEST}    digest.update(values.tobytes())",
        "import dataclasses\ndataclasses.field(default_factory=list)",
        "raise UserError(f'--split={text}: expected three fractions')",
    )
    def test_what_is_none_passes(self, code: str) -> None:
        self.assertEqual(once.copies(self._tree(code)), [])

    def _tree(self, code: str) -> pathlib.Path:
        root = pathlib.Path(self.get_temp_dir())
        (root / "models").mkdir()
        (root / "models" / "made_up.py").write_text(code)
        return root


if __name__ == "__main__":
    tf.test.main()
