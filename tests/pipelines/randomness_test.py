"""Random numbers by key: the same alone or in a batch, and random enough."""

import numpy as np
import tensorflow as tf

from pipelines import randomness


def _positions(start: int, count: int) -> tf.Tensor:
    return tf.range(start, start + count, dtype=tf.int64)


class RandomnessTest(tf.test.TestCase):
    def test_a_draw_is_the_same_alone_and_in_a_batch(self) -> None:
        for draw in (randomness.uniform, randomness.normal):
            batch = draw(5, _positions(100, 13), "noise", 7).numpy()
            for row in range(13):
                alone = draw(5, _positions(100 + row, 1), "noise", 7).numpy()
                self.assertAllEqual(alone[0], batch[row])

    def test_seed_position_draw_and_element_each_matter(self) -> None:
        drawn = randomness.uniform(1, _positions(0, 4), "flip", 4).numpy()
        self.assertLen(np.unique(drawn), 16)
        for seed, start, name in ((2, 0, "flip"), (1, 4, "flip"), (1, 0, "crop")):
            other = randomness.uniform(seed, _positions(start, 4), name, 4).numpy()
            self.assertEmpty(np.intersect1d(drawn, other))

    def test_uniform_numbers_are_uniform(self) -> None:
        drawn = randomness.uniform(0, _positions(0, 20_000), "flip", 2).numpy()
        self.assertGreaterEqual(drawn.min(), 0)
        self.assertLess(drawn.max(), 1)
        counts, _ = np.histogram(drawn, 100, (0, 1))
        chi_squared = np.sum((counts - 400) ** 2 / 400)
        self.assertBetween(chi_squared, 50, 160)  # 99 degrees of freedom
        for pairs in (drawn, np.stack([drawn[:-1, 0], drawn[1:, 0]], 1)):
            self.assertLess(abs(np.corrcoef(pairs.T)[0, 1]), 0.03)

    def test_normal_numbers_are_normal(self) -> None:
        drawn = randomness.normal(0, _positions(0, 1000), "noise", 101).numpy()
        self.assertEqual(drawn.shape, (1000, 101))
        self.assertAllClose(drawn.mean(), 0, atol=0.02)
        self.assertAllClose(drawn.std(), 1, atol=0.01)
        for size, share in ((1, 0.3173), (2, 0.0455), (3, 0.0027)):
            self.assertAllClose((abs(drawn) > size).mean(), share, atol=0.006)

    def test_works_far_from_zero(self) -> None:
        drawn = randomness.uniform(2**62, _positions(2**61, 3), "flip", 2).numpy()
        self.assertLen(np.unique(drawn), 6)


if __name__ == "__main__":
    tf.test.main()
