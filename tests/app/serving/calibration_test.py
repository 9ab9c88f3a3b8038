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

    def test_never_worse_than_none(self) -> None:
        logits = np.eye(3, dtype=np.float32)[[0, 1, 2]] * 50
        found = calibration.fit(logits, np.array([0, 1, 2]))
        self.assertLessEqual(found.loss_after, found.loss_before)


if __name__ == "__main__":
    tf.test.main()
