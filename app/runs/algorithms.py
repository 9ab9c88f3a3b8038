"""How a run's model learns: the algorithm that `--algorithm` names."""

from collections.abc import Callable, Sequence
from typing import Any

import keras
import tensorflow as tf

from app.configs.commands import TrainConfig
from app.runs.network import Network, label_specs
from app.training import randomness
from app.training.algorithm import Algorithm, Played, Player, Supervised
from base import own_parts
from base.errors import UserError
from models.losses import require_per_example
from pipelines.batch import Batch
from pipelines.features import ExampleSpec

AUTO = "auto"
_SIGNATURE = "(model, loss, make_optimizer)"
# From some of the model's variables to an optimizer that is built on them.
MakeOptimizer = Callable[[Sequence[keras.Variable]], keras.optimizers.Optimizer]


def build(name: str, network: Network, make_optimizer: MakeOptimizer) -> Algorithm:
    """The algorithm of this name, or of the user's own: `package.module:class`.

    Args:
      name: the flag.
      network: that learns.
      make_optimizer: by the flags.

    Raises:
      UserError: it is none.
    """
    model, loss = network.model, network.loss
    if name == AUTO:
        return Supervised(model, loss, make_optimizer(model.trainable_variables))
    part = own_parts.load_callable("algorithm", name)
    own_parts.require_takes("algorithm", name, part, _SIGNATURE)
    algorithm: Algorithm = part(model, loss, make_optimizer)
    _require_players(f"--algorithm={name}", algorithm, model)
    return algorithm


def _require_players(asked: str, algorithm: Any, model: keras.Model) -> None:
    lacks = [n for n in ("model", "players", "play") if not hasattr(algorithm, n)]
    if lacks:
        raise UserError(
            f"{asked} lacks {', '.join(lacks)}: see app.training.algorithm.Algorithm"
        )
    if algorithm.model is not model:
        raise UserError(
            f"{asked}: its model is another one than it was given, which is evaluated "
            "and saved: expected self.model = model"
        )
    players = algorithm.players
    if not players or not all(isinstance(player, Player) for player in players):
        raise UserError(f"{asked}: expected players, a tuple of at least one Player")
    names = [player.name for player in players]
    if len(set(names)) < len(names):
        raise UserError(f"{asked} has players {', '.join(names)}: expected other names")
    known = {id(variable) for variable in model.trainable_variables}
    for player in players:
        if not all(id(variable) in known for variable in player.variables):
            raise UserError(
                f"{asked}: the player {player.name!r} has variables that are not among "
                "the model's trainable ones, so that they would not be saved"
            )
        if not player.optimizer.built:
            raise UserError(
                f"{asked}: the optimizer of {player.name!r} has no variables yet: "
                "expected what make_optimizer(variables) gives, or one that is built"
            )


def tried(
    config: TrainConfig, algorithm: Algorithm, features: ExampleSpec
) -> tuple[str, ...]:
    """Tries an algorithm of the user's own on a batch; what the user should know.

    Args:
      config: the flags.
      algorithm: that was built.
      features: of the batches. Nothing is learnt from one.

    Raises:
      UserError: it gives something else than losses of each example, and outputs.
      Exception: whatever the user's code raises.
    """
    if config.training.algorithm == AUTO:
        return ()
    asked, size = f"--algorithm={config.training.algorithm}", features.target.width

    def play(batch: Batch, step: tf.Tensor) -> None:
        with randomness.keyed_draws(0, step):
            _require_played(asked, algorithm, algorithm.play(batch), size)

    for labels in label_specs(config, features.target):
        batch = _specs(features, labels, config.data.batch_size)
        step = tf.TensorSpec([], tf.int64)
        tf.function(play, autograph=False).get_concrete_function(batch, step)
    learnt = {id(v) for player in algorithm.players for v in player.variables}
    left = [v for v in algorithm.model.trainable_variables if id(v) not in learnt]
    if not left:
        return ()
    return (f"{asked}: no player learns {left[0].path} and {len(left) - 1} more",)


def _specs(features: ExampleSpec, labels: tf.TensorSpec, size: int) -> Batch:
    """What a step gets: a batch of `size` examples."""

    def sized(spec: tf.TensorSpec) -> tf.TensorSpec:
        dtype = tf.float32 if spec.dtype == tf.uint8 else spec.dtype
        return tf.TensorSpec([size, *spec.shape[1:]], dtype)

    inputs = tf.nest.map_structure(sized, features.input.batch_spec())
    return Batch(inputs, sized(labels), tf.TensorSpec([size], tf.float32))


def _require_played(asked: str, algorithm: Algorithm, played: Any, size: int) -> None:
    if not isinstance(played, Played):
        raise UserError(
            f"{asked}: play gave a {type(played).__name__}: expected "
            "app.training.algorithm.Played(losses, outputs)"
        )
    outputs = played.outputs
    if not (tf.is_tensor(outputs) and outputs.shape[1:] == [size]):
        found = outputs.shape if tf.is_tensor(outputs) else type(outputs).__name__
        raise UserError(
            f"{asked}: play gave outputs {found}: expected a tensor [B, {size}], which "
            "the metrics take"
        )
    names = [player.name for player in algorithm.players]
    if sorted(played.losses) != sorted(names):
        raise UserError(
            f"{asked}: play gave losses of {', '.join(played.losses) or 'nobody'}: "
            f"expected one for each player, {', '.join(names)}"
        )
    for player, losses in played.losses.items():
        require_per_example(f"{asked} (player {player})", losses, outputs)
