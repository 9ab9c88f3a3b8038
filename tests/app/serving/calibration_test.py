"""A temperature is found where one was put in, and the error falls."""

import numpy as np
import scipy.special
import tensorflow as tf

from app.serving import calibration


def drawn(temperature: float, examples: int = 4000) -> tuple[np.ndarray, np.ndarray]:
    """Logits that are `temperature` times too large for their labels."""
    random = np.random.default_rng(0)
    honest = random.normal(0, 2, (examples, 5))
    shares = scipy.special.softmax(honest, axis=1).cumsum(1)
    labels = (random.uniform(size=(examples, 1)) > shares[:, :-1]).sum(1)
    return (temperature * honest).astype(np.float32), labels.astype(np.int64)


class CalibrationTest(tf.test.TestCase):
    def test_finds_the_temperature(self) -> None:
        for temperature in (0.5, 1.0, 3.0):
            found = calibration.fit(*drawn(temperature))
            self.assertAllClose(found.temperature, temperature, rtol=0.1)

    def test_a_model_too_sure_of_itself_is_corrected(self) -> None:
        found = calibration.fit(*drawn(4.0))
        self.assertGreater(found.error_before, 0.1)
        self.assertLess(found.error_after, 0.03)
        self.assertLess(found.loss_after, found.loss_before)
        self.assertEqual(found.examples, 4000)

    def test_no_mistake_tells_no_temperature(self) -> None:
        logits, labels = drawn(1.0)
        right = logits.argmax(1) == labels
        found = calibration.fit(logits[right], labels[right])
        self.assertEqual(found.temperature, 1.0)
        self.assertIn(f"no mistake among the {right.sum()}", found.unfitted)
        self.assertEqual(found.error_after, found.error_before)
        # One mistake is enough.
        first = int(np.flatnonzero(~right)[0])
        chosen = np.append(np.flatnonzero(right)[:300], first)
        found = calibration.fit(logits[chosen], labels[chosen])
        self.assertEqual(found.unfitted, "")
        self.assertLess(found.loss_after, found.loss_before)

    def test_worse_than_chance_tells_no_temperature(self) -> None:
        logits = np.eye(3, dtype=np.float32)[[0, 1, 2]] * 5
        found = calibration.fit(logits, np.array([1, 2, 0]))
        self.assertEqual(found.temperature, 1.0)
        self.assertIn("not between 0.05 and 20", found.unfitted)


if __name__ == "__main__":
    tf.test.main()
