"""The peer of benchmarks.training_step in plain Keras 3, as its documentation has it.

`python -m benchmarks.training_step_keras WORKLOAD SECONDS`: layers and applications of
Keras', arrays of NumPy, `compile`, `fit`. Epochs are timed but for the first, which
compiles. The ViT is after keras.io/examples/vision/image_classification_with_vision_
transformer, the residual network after keras.io/examples' ResNet for CIFAR-10.
"""

import dataclasses
import json
import sys
import time
from typing import Any

import keras
import numpy as np
from keras import layers

from benchmarks.workloads import CLASSES, WORKLOADS, Figures, Workload


def main() -> None:
    """Trains the workload that the command line names for that many seconds."""
    name, seconds = sys.argv[1], float(sys.argv[2])
    workload = WORKLOADS[name]
    model = MODELS[name]()
    model.compile(
        optimizer=keras.optimizers.Adam(1e-3),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    x_train, y_train = _data(workload)
    started = time.monotonic()
    first = workload.batch
    model.fit(x_train[:first], y_train[:first], batch_size=first, verbose=0)
    compiled = time.monotonic() - started
    clock = EpochClock(seconds)
    model.fit(
        x_train,
        y_train,
        batch_size=workload.batch,
        epochs=100_000,
        verbose=0,
        callbacks=[clock],
    )
    print(json.dumps(dataclasses.asdict(clock.figures(workload, compiled))))


class EpochClock(keras.callbacks.Callback):
    """Measures whole epochs, all but the first, and stops after some seconds."""

    def __init__(self, seconds: float) -> None:
        super().__init__()
        self._seconds = seconds
        self._epochs = 0

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Starts with the end of the first epoch."""
        del logs
        if epoch == 0:
            self._started = time.monotonic(), time.process_time()
            return
        self._epochs += 1
        self._taken = (
            time.monotonic() - self._started[0],
            time.process_time() - self._started[1],
        )
        if self._taken[0] >= self._seconds:
            self.model.stop_training = True

    def figures(self, workload: Workload, compiled: float) -> Figures:
        """Of the epochs that were measured."""
        examples = self._epochs * workload.examples
        wall, cpu = self._taken
        steps = examples // workload.batch
        return Figures(examples / wall, 1e3 * cpu / examples, compiled, steps)


def _data(workload: Workload) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    shape = (workload.examples, *workload.shape)
    labels = rng.integers(0, CLASSES, workload.examples)
    if len(shape) == 2:
        return rng.normal(size=shape).astype("float32"), labels
    return rng.integers(0, 256, shape).astype("float32") / 255, labels


def mlp() -> keras.Model:
    """Two hidden layers."""
    return keras.Sequential(
        [
            keras.Input((64,)),
            layers.Dense(128, activation="relu"),
            layers.Dense(128, activation="relu"),
            layers.Dense(CLASSES),
        ]
    )


def cnn() -> keras.Model:
    """Three blocks of two convolutions, with batch normalization."""
    inputs = x = keras.Input((28, 28, 1))
    for block in range(3):
        if block:
            x = layers.MaxPooling2D()(x)
        for _ in range(2):
            x = layers.Conv2D(32 * 2**block, 3, padding="same", use_bias=False)(x)
            x = layers.BatchNormalization()(x)
            x = layers.Activation("relu")(x)
    x = layers.GlobalAveragePooling2D()(x)
    return keras.Model(inputs, layers.Dense(CLASSES)(x))


def resnet20() -> keras.Model:
    """Three stages of three blocks; shortcuts without weights, as in the paper."""
    inputs = keras.Input((32, 32, 3))
    x = _convolution(inputs, 16, 1)
    x = layers.Activation("relu")(x)
    for stage in range(3):
        for block in range(3):
            stride = 2 if stage and not block else 1
            channels = 16 * 2**stage
            y = layers.Activation("relu")(_convolution(x, channels, stride))
            y = _convolution(y, channels, 1)
            if stride == 2:
                more = channels - x.shape[-1]
                x = layers.AveragePooling2D(1, 2)(x)
                zeros = [(0, 0), (0, 0), (0, 0), (more // 2, more - more // 2)]
                x = keras.ops.pad(x, zeros)
            x = layers.Activation("relu")(layers.add([x, y]))
    x = layers.GlobalAveragePooling2D()(x)
    return keras.Model(inputs, layers.Dense(CLASSES)(x))


def _convolution(x: keras.KerasTensor, channels: int, stride: int) -> keras.KerasTensor:
    x = layers.Conv2D(channels, 3, stride, padding="same", use_bias=False)(x)
    return layers.BatchNormalization()(x)


def resnet50() -> keras.Model:
    """Keras' own."""
    return keras.applications.ResNet50(
        weights=None, classes=CLASSES, classifier_activation=None
    )


class Positions(layers.Layer):
    """Adds a learnt embedding of each patch's place."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = layers.Embedding(64, 192)

    def call(self, inputs: Any) -> Any:
        """From [B, 64, 192] to the same."""
        return inputs + self.embedding(keras.ops.arange(64))


def vit() -> keras.Model:
    """Six blocks of attention, normalized before."""
    inputs = keras.Input((32, 32, 3))
    x = layers.Conv2D(192, 4, 4)(inputs)
    x = Positions()(layers.Reshape((64, 192))(x))
    for _ in range(6):
        y = layers.LayerNormalization(epsilon=1e-6)(x)
        y = layers.MultiHeadAttention(num_heads=3, key_dim=64)(y, y)
        x = layers.Add()([x, y])
        y = layers.LayerNormalization(epsilon=1e-6)(x)
        y = layers.Dense(4 * 192, activation="gelu")(y)
        y = layers.Dense(192)(y)
        x = layers.Add()([x, y])
    x = layers.LayerNormalization(epsilon=1e-6)(x)
    x = layers.GlobalAveragePooling1D()(x)
    return keras.Model(inputs, layers.Dense(CLASSES)(x))


MODELS = {
    "mlp": mlp,
    "cnn": cnn,
    "resnet20": resnet20,
    "resnet50": resnet50,
    "vit": vit,
}

if __name__ == "__main__":
    main()
