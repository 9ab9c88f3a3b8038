"""How steps are divided among the workers of parameter servers."""

import unittest

from absl.testing import parameterized

from app.training import asynchronous


class DivideTest(parameterized.TestCase):
    @parameterized.parameters((0, 1, 2), (5, 1000, 2), (0, 7, 4), (3, 4003, 1))
    def test_each_step_is_in_one_chunk(self, first, last, workers) -> None:
        chunks = asynchronous.divide(first, last, workers)
        steps = [step for c in chunks for step in range(c.first, c.last)]
        self.assertEqual(steps, list(range(first, last)))
        sizes = [c.last - c.first for c in chunks]
        self.assertLessEqual(max(sizes), 64)
        self.assertEqual(sizes, sorted(sizes, reverse=True))
        # Who takes the last chunks does not keep the others waiting.
        self.assertEqual(sizes[-workers:], [1] * min(workers, len(sizes)))


if __name__ == "__main__":
    unittest.main()
