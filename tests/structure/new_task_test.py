"""A task is its own files and the tables it stands in: several labels as the proof."""

import pathlib
import re

import tensorflow as tf

from tests.structure.import_rule import ROOMS

ROOT = pathlib.Path(__file__).parents[2]
# What several labels at once are made of.
OWN = {
    "pipelines/features/label_set.py",
    "models/tasks/multilabel.py",
    "app/reporting/tasks/multilabel.py",
    "app/serving/tasks/multilabel.py",
}
# The tables that a new one stands in.
TABLES = {
    "pipelines/features/__init__.py",
    "pipelines/features/registry.py",
    "models/tasks/names.py",
}


def naming(pattern: str, root: pathlib.Path) -> set[str]:
    """Files of the rooms whose name or text has the words."""
    return {
        str(path.relative_to(root))
        for room in ROOMS
        for path in (root / room).rglob("*.py")
        if re.search(pattern, f"{path.name} {path.read_text(encoding='utf-8')}")
    }


class NewTaskTest(tf.test.TestCase):
    def test_no_other_file_knows_of_several_labels(self) -> None:
        found = naming(r"[Mm]ulti_?[Ll]abel|LabelSet|label_set", ROOT)
        self.assertEqual(found - OWN - TABLES, set())
        self.assertEqual(OWN - found, set())

    def test_one_more_file_would_be_noticed(self) -> None:
        root = pathlib.Path(self.get_temp_dir())
        (root / "models").mkdir()
        (root / "models" / "made_up.py").write_text("x = task == 'multilabel'\n")
        self.assertEqual(naming("multilabel", root), {"models/made_up.py"})


if __name__ == "__main__":
    tf.test.main()
