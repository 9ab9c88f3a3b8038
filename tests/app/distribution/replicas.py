"""Trains on some replicas and prints the losses: `python -m …replicas COUNT JPEGS`.

A process of its own for each count: TensorFlow's collectives on CPUs keep the size of a
group for the process's life.
"""

import contextlib
import functools
import json
import sys
from collections.abc import Iterator
from unittest import mock

import numpy as np
import tensorflow as tf

from app.configs import flags
from app.configs.commands import TrainConfig
from app.distribution import strategies
from app.runs import assembly

BATCH = 64
QUICK = (
    "--model=mlp",
    "--model_args=width=16,depth=1",
    "--epochs=3",
    f"--batch_size={BATCH}",
    "--progress=quiet",
)
CONVOLUTIONAL = ("--model=cnn", "--model_args=width=4,depth=2")
CASES = {
    "resident": ("--augment=translate=1,mixup=0.2",),
    "streamed": ("--cache=none", "--augment=translate=1"),
    "clipped and averaged": ("--clip_norm=0.5", "--ema=0.9"),
    "balanced and weighted": ("--balance=oversample", "--class_weights=0=3"),
    "synchronized": (*CONVOLUTIONAL, "--sync_batch_norm"),
    "whitened": (
        *CONVOLUTIONAL,
        "--sync_batch_norm",
        "--whitening=2",
        "--augment=alternating_flip",
    ),
    "compiled layers": ("--model=vit", "--model_args=depth=1,width=8,heads=2,patch=4"),
    "by replica": CONVOLUTIONAL,
}


@functools.cache  # a second one's collectives would bear the numbers of the first one's
def replicas(count: int) -> tf.distribute.Strategy:
    """The strategy on this process's first `count` logical CPUs."""
    if count == 1:
        return tf.distribute.get_strategy()
    return tf.distribute.MirroredStrategy([f"CPU:{i}" for i in range(count)])


@contextlib.contextmanager
def on_replicas(count: int, split: int) -> Iterator[None]:
    """Within it runs use the first `count` of `split` CPUs, whatever the flags say."""
    strategies._split_cpu(split)
    made = lambda config, cluster: replicas(count)  # noqa: E731
    with mock.patch.object(strategies, "make_strategy", made):
        yield


def losses_of(*arguments: str, steps: int) -> list[float]:
    """The losses of the first steps of a run, all of whose examples are counted."""
    config = flags.parse(TrainConfig, ["--run_dir=unused", *QUICK, *arguments])
    parts = assembly.build_parts(config)
    trainer = assembly.make_trainer(parts)
    trainer.start_at(0)
    metrics = parts.network.metrics
    sums = np.zeros(metrics.size)
    losses = []
    for step in range(steps):
        result = trainer.run(step, step + 1, sums)
        losses.append(result.loss)
        sums = result.sums
    if metrics.by_name(sums)["examples"] != steps * BATCH:
        raise AssertionError(f"{sums} after {steps} steps")
    return losses


if __name__ == "__main__":
    wanted = int(sys.argv[1])
    cases = CASES | {"photographs": (f"--dataset={sys.argv[2]}", "--cache=none")}
    with on_replicas(wanted, split=max(2, wanted)):
        print(json.dumps({name: losses_of(*a, steps=50) for name, a in cases.items()}))
