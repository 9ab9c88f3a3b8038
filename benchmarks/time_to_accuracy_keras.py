"""The peer of benchmarks.time_to_accuracy in Keras 3, as its documentation has it.

`python -m benchmarks.time_to_accuracy_keras --dataset=FOLDER --seed=N --until=ACCURACY
--limit=SECONDS`: images read by `image_dataset_from_directory` and cached, augmented by
Keras' own layers, the residual network of keras.io's example for CIFAR-10 (20 layers),
Adam at its default rate, lowered where the accuracy stalls, `fit`. After each epoch a
line of JSON says the seconds since the process started, less those spent on evaluating,
the epochs, and the accuracy on the test split.
"""

import argparse
import json
import pathlib
import time

import keras
import psutil
import tensorflow as tf
from keras import layers

from benchmarks.training_step_keras import resnet20

_EPOCHS = 200
_BATCH_SIZE = 128


def main() -> None:
    """Trains until the accuracy is reached or the time is over."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dataset", type=pathlib.Path, required=True)
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--until", type=float, required=True)
    parser.add_argument("--limit", type=float, required=True)
    options = parser.parse_args()
    keras.utils.set_random_seed(options.seed)
    train = read(options.dataset / "train")
    test = read(options.dataset / "test")
    model = network()
    model.compile(
        optimizer="adam",
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    stall = keras.callbacks.ReduceLROnPlateau("val_accuracy", factor=0.3, patience=5)
    model.fit(
        train.shuffle(400).prefetch(tf.data.AUTOTUNE),
        validation_data=test.prefetch(tf.data.AUTOTUNE),
        epochs=_EPOCHS,
        verbose=0,
        callbacks=[stall, TestClock(options.until, options.limit)],
    )


def read(folder: pathlib.Path) -> tf.data.Dataset:
    """Batches of images and labels, decoded in the first epoch and kept."""
    dataset = keras.utils.image_dataset_from_directory(
        folder, image_size=(32, 32), batch_size=_BATCH_SIZE, verbose=False
    )
    return dataset.cache()


def network() -> keras.Model:
    """A residual network behind random flips and shifts, on raw pixels."""
    inputs = keras.Input((32, 32, 3))
    x = layers.RandomFlip("horizontal")(inputs)
    x = layers.RandomTranslation(0.1, 0.1)(x)
    x = layers.Rescaling(1 / 255)(x)
    return keras.Model(inputs, resnet20()(x))


class TestClock(keras.callbacks.Callback):
    """Prints a line for each epoch, and stops when it is good or late enough.

    Args:
      until: accuracy on the test split.
      limit: seconds since the process started.
    """

    def __init__(self, until: float, limit: float) -> None:
        super().__init__()
        self._until = until
        self._limit = limit
        self._started = psutil.Process().create_time()
        self._evaluating = 0.0

    def on_test_begin(self, logs: dict[str, float] | None = None) -> None:
        """An evaluation begins, which is no part of the training."""
        del logs
        self._evaluation_began = time.time()

    def on_test_end(self, logs: dict[str, float] | None = None) -> None:
        """An evaluation ends."""
        del logs
        self._evaluating += time.time() - self._evaluation_began

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """After the epoch's evaluation."""
        assert logs is not None
        seconds = time.time() - self._started - self._evaluating
        accuracy = float(logs["val_accuracy"])
        point = {"epochs": epoch + 1, "seconds": seconds, "accuracy": accuracy}
        print(json.dumps(point), flush=True)
        if accuracy >= self._until or seconds >= self._limit:
            self.model.stop_training = True


if __name__ == "__main__":
    main()
