"""How a step reads and changes variables: in place, or on parameter servers.

On parameter servers other workers change them meanwhile. Keras adds to its counters by
a read and a write, between which another worker's write is lost. So there an optimizer
is told its step, and moving averages are changed by what a step adds to them.
"""

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any, Protocol

import keras
import tensorflow as tf

from app.training import packed_transfer
from app.training.algorithm import Algorithm, Player, moving_variables

# For each player, something of each of its variables.
PerPlayer = list[list[Any]]


class VariableAccess(Protocol):
    """How a step comes by the values of variables, and changes them."""

    def forward_pass(
        self, tape: tf.GradientTape
    ) -> contextlib.AbstractContextManager[PerPlayer]:
        """Entered for a forward pass: gives what each player's gradients are of."""

    def update(
        self,
        player: Player,
        gradients: list[tf.Tensor],
        variables: Sequence[Any],
        step: tf.Tensor,
    ) -> None:
        """Applies gradients of some of a player's variables."""


class InPlace:
    """Variables of this process's own devices, read and changed where they are.

    Args:
      algorithm: whose players' variables they are.
    """

    def __init__(self, algorithm: Algorithm) -> None:
        self._players = algorithm.players

    def forward_pass(
        self, tape: tf.GradientTape
    ) -> contextlib.AbstractContextManager[PerPlayer]:
        """Gives the variables themselves, which the tape watches by itself."""
        del tape
        return contextlib.nullcontext([list(p.variables) for p in self._players])

    def update(
        self,
        player: Player,
        gradients: list[tf.Tensor],
        variables: Sequence[Any],
        step: tf.Tensor,
    ) -> None:
        """Has the optimizer apply them, which counts its steps itself."""
        del step
        player.optimizer.apply(gradients, variables)


class RemoteVariables:
    """Reads all of a model at once, and sends each server one message of gradients.

    Args:
      algorithm: whose variables they are.
    """

    def __init__(self, algorithm: Algorithm) -> None:
        self._model = algorithm.model
        self._players = algorithm.players

    @contextlib.contextmanager
    def forward_pass(self, tape: tf.GradientTape) -> Iterator[PerPlayer]:
        """Within it variables are as read at first; moving averages are added to after.

        All are read at once, and gradients are those of what was read.
        """
        trained = _once(v for player in self._players for v in player.variables)
        moving = moving_variables(self._model)
        values = packed_transfer.read([*trained, *moving])
        tape.watch(values[: len(trained)])
        read = list(zip([*trained, *moving], values, strict=True))
        value_of = {id(variable): value for variable, value in read}
        with keras.StatelessScope(read, collect_losses=True) as scope:
            yield [[value_of[id(v)] for v in p.variables] for p in self._players]
        before = read[len(trained) :]
        now = [(v, scope.get_current_value(v), old) for v, old in before]
        moved = [(v, new - old) for v, new, old in now if new is not old]
        changed = [variable for variable, _ in moved]
        changes = packed_transfer.send([change for _, change in moved], changed)
        for variable, change in zip(changed, changes, strict=True):
            variable.value.assign_add(change)

    def at(self, step: tf.Tensor) -> keras.StatelessScope:
        """Within it, in this thread, every optimizer has done `step` steps."""
        return keras.StatelessScope(
            [(player.optimizer.iterations, step) for player in self._players]
        )

    def update(
        self,
        player: Player,
        gradients: list[tf.Tensor],
        variables: Sequence[Any],
        step: tf.Tensor,
    ) -> None:
        """Applies gradients as those of `step`, whatever steps others have done."""
        sent = packed_transfer.send(gradients, variables)
        with self.at(step):
            player.optimizer.apply(sent, variables)
        for variable in variables:
            if variable.constraint is not None:
                variable.assign(variable.constraint(variable.value))


def _once(variables: Iterator[keras.Variable]) -> list[keras.Variable]:
    """Each variable once, though several players may share it."""
    return list({id(variable): variable for variable in variables}.values())
