"""The network of a run with the weights of a checkpoint."""

from collections.abc import Mapping

import keras
import numpy as np

from app.runs import own_parts
from app.runs.data import read_description
from app.runs.folder import RunFolder
from app.runs.network import Network, build_network
from app.runs.numerics import set_numerics
from app.training import checkpoints, state
from base.errors import UserError


def load_network(folder: RunFolder, checkpoint: str) -> tuple[Network, int]:
    """The network of a run with the weights of a checkpoint, and the weights' step.

    It sets precision and seeds: call it within `numerics.contained`.

    Args:
      folder: of the run.
      checkpoint: `best` or `last`.

    Raises:
      UserError: there is no such checkpoint, or it is not whole; or a part of the
        user's own is not here.
    """
    config = folder.read_config()
    own_parts.require_there(folder)
    set_numerics(config)
    network = build_network(config, read_description(folder))
    own_parts.tell_changes_since(folder, config)
    step = _step_of(folder, checkpoint)
    try:
        snapshot = checkpoints.load(checkpoints.path_of(folder.checkpoints, step))
    except checkpoints.DamagedCheckpoint as damage:
        raise UserError(
            f"--run_dir={folder.path}: the {checkpoint} checkpoint is damaged:"
            f" {damage}; train again, which goes back to a whole one"
        ) from damage
    _assign(network.model, snapshot.arrays)
    return network, step


def _step_of(folder: RunFolder, checkpoint: str) -> int:
    steps = checkpoints.steps_of(folder.checkpoints)
    if not steps:
        raise UserError(
            f"--run_dir={folder.path}: there is no checkpoint yet; train first"
        )
    if checkpoint == "last":
        return steps[-1]
    best = folder.read_results().get("best")
    return int(best["step"]) if best else steps[-1]


def _assign(model: keras.Model, arrays: Mapping[str, np.ndarray]) -> None:
    """Gives the model the checkpoint's weights, averaged where an average was kept."""
    variables = state.named("model", model.weights)
    shapes = {name: tuple(v.shape) for name, v in variables.items()}
    chosen = {
        name: arrays[average if (average := f"average/{name}") in arrays else name]
        for name in shapes
        if name in arrays
    }
    state.check_arrays(chosen, shapes)
    for name, variable in variables.items():
        variable.assign(chosen[name])
