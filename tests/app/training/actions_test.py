"""A checkpoint is written once a step, and once more where its write has failed."""

import keras
import tensorflow as tf

from app.configs.training import Interval
from app.training.actions import Checkpoint
from app.training.algorithm import Player
from app.training.boundaries import Boundaries
from app.training.checkpoints import Snapshot
from app.training.state import TrainState


class Remembering:
    """A writer that keeps the steps of what it was given."""

    def __init__(self) -> None:
        self.steps: list[int] = []

    def write(self, snapshot: Snapshot) -> None:
        self.steps.append(snapshot.progress.step)

    def wait(self) -> None:
        pass

    def close(self) -> None:
        pass


class CheckpointTest(tf.test.TestCase):
    def test_a_step_is_written_once_but_after_a_failure(self) -> None:
        writer = Remembering()
        every = Boundaries(Interval(1, "s"), 10, 10)
        checkpoint = Checkpoint(boundaries=every, writer=writer, saved_step=-1)
        model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
        optimizer = keras.optimizers.SGD()
        optimizer.build(model.trainable_variables)
        player = Player("model", model.trainable_variables, optimizer)
        state = TrainState(model, [player], 1)
        state.progress.step = 3
        checkpoint.save(state)
        checkpoint.save(state)
        self.assertEqual(writer.steps, [3])
        checkpoint.save(state, again=True)
        self.assertEqual(writer.steps, [3, 3])


if __name__ == "__main__":
    tf.test.main()
