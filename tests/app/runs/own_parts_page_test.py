"""The examples of docs/own-parts.md, together in one training as the page has it."""

import functools
import json
import os
import pathlib
import re

import pytest
import tensorflow as tf

from tests.own_folder import OwnFolderTestCase
from tests.processes import Command

pytestmark = pytest.mark.process

_PAGE = pathlib.Path(__file__).parents[3] / "docs/own-parts.md"
_FLAGS = ("model", "loss", "metrics", "task", "algorithm", "dataset", "augment")


class PageTest(OwnFolderTestCase, tf.test.TestCase):
    def setUp(self) -> None:
        super().setUp()
        self.page = _PAGE.read_text(encoding="utf-8")
        examples = re.findall(r"^```python\n(.*?)^```", self.page, re.S | re.M)
        self.assertLen(examples, 8)
        self.write("mine.py", "\n".join(examples))

    def run_line(self, line: str, status: int) -> str:
        log = self.folder / "said.log"
        command = Command(line.split(), log, functools.partial(os.chdir, self.folder))
        self.assertEqual(command.wait(), status, command.output())
        return command.output()

    def test_all_examples_train_together(self) -> None:
        (line,) = re.findall(r"^atelier (train .*)$", self.page, re.MULTILINE)
        for flag in (*_FLAGS, "optimizer"):
            self.assertRegex(line, rf"--{flag}=\S*mine:\w+")
        self.run_line(line, 0)
        results = json.loads((self.folder / "runs/own/results.json").read_text())
        self.assertGreater(results["validation"]["accuracy"], 0.5)  # it learns
        made = json.loads((self.folder / "runs/own/environment.json").read_text())
        named = {part["reference"] for part in made["own_parts"]}
        self.assertEqual(named, set(re.findall(r"mine:[A-Za-z]\w*", line)))

    def test_mistakes_are_told_as_the_page_tells_them(self) -> None:
        told = re.findall(r"^\$ atelier (.*)\n(atelier: .*)$", self.page, re.MULTILINE)
        self.assertLen(told, 2)
        for line, answer in told:
            said = self.run_line(line, 2).replace(str(self.folder), "/home/me/flowers")
            self.assertIn(answer, said)


if __name__ == "__main__":
    tf.test.main()
