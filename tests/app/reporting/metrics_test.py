"""metrics.jsonl holds whole lines, each step once, whatever kills the process."""

import json
import pathlib

import numpy as np
import tensorflow as tf
from absl.testing import parameterized

from app.reporting.metrics import MetricsLog
from base.errors import UserError


class MetricsLogTest(tf.test.TestCase, parameterized.TestCase):
    def setUp(self) -> None:
        super().setUp()
        self.path = pathlib.Path(self.get_temp_dir()) / "metrics.jsonl"
        self.log = MetricsLog(self.path)

    def test_reads_what_was_appended(self) -> None:
        self.log.append({"step": 10, "train/loss": 0.5})
        self.log.append({"step": 20, "train/loss": 0.25})
        expected = [{"step": 10, "train/loss": 0.5}, {"step": 20, "train/loss": 0.25}]
        self.assertEqual(self.log.read(), expected)
        self.assertLen(self.path.read_text().splitlines(), 2)

    def test_no_file_has_no_lines(self) -> None:
        self.assertEqual(self.log.read(), [])
        self.assertEqual(self.log.truncate_after(5), 0)

    def test_scalars_of_other_libraries_become_numbers(self) -> None:
        line = {"step": np.int64(3), "a": np.float32(0.5), "b": tf.constant(2.0)}
        self.log.append(line)
        self.assertEqual(self.log.read(), [{"step": 3, "a": 0.5, "b": 2.0}])

    @parameterized.parameters(float("nan"), float("inf"), np.float32("nan"))
    def test_not_a_number_becomes_null(self, value: float) -> None:
        self.log.append({"step": 1, "validation/r2": value})
        self.assertEqual(json.loads(self.path.read_text())["validation/r2"], None)

    def test_truncates_what_lies_beyond_a_step(self) -> None:
        for step in (10, 20, 30):
            self.log.append({"step": step})
        self.assertEqual(self.log.truncate_after(20), 1)
        self.assertEqual([line["step"] for line in self.log.read()], [10, 20])
        self.assertLen(list(self.path.parent.iterdir()), 1)

    def test_truncating_nothing_leaves_the_file(self) -> None:
        self.log.append({"step": 10})
        before = self.path.stat()
        self.assertEqual(self.log.truncate_after(10), 0)
        self.assertEqual(self.path.stat().st_ino, before.st_ino)
        self.assertEqual(self.path.stat().st_mtime_ns, before.st_mtime_ns)

    def test_torn_end_is_passed_over_at_every_length(self) -> None:
        self.log.append({"step": 10})
        whole = self.path.read_bytes()
        torn = json.dumps({"step": 20, "validation/loss": 0.125}).encode()
        for length in range(1, len(torn) + 1):
            self.path.write_bytes(whole + torn[:length])
            self.assertEqual(self.log.read(), [{"step": 10}])
            self.log.append({"step": 20})
            self.assertEqual([line["step"] for line in self.log.read()], [10, 20])

    def test_truncation_removes_a_torn_end(self) -> None:
        self.log.append({"step": 10})
        whole = self.path.read_bytes()
        self.path.write_bytes(whole + b'{"step": 2')
        self.assertEqual(self.log.truncate_after(10), 0)
        self.assertEqual(self.path.read_bytes(), whole)

    def test_damage_before_the_end_is_named(self) -> None:
        self.path.write_text('{"step": 1}\n{"st\n{"step": 3}\n')
        with self.assertRaisesRegex(UserError, r"metrics\.jsonl, line 2"):
            self.log.read()


if __name__ == "__main__":
    tf.test.main()
