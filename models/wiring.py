"""How the layers of a functional model hang together."""

from collections.abc import Sequence
from typing import Any

import keras

from models import keras_internals


def nodes_in_order(model: keras.Model) -> list[Any]:
    """The calls of layers in a functional model, in an order that they can run in."""
    by_depth = keras_internals.nodes_by_depth(model)
    return [
        node
        for depth in sorted(by_depth, reverse=True)
        for node in by_depth[depth]
        if node.operation and not node.is_input
    ]


def waiting_after(nodes: Sequence[Any], outputs: Sequence[Any]) -> list[int]:
    """How many tensors exist after each node that a later one, or nobody, takes."""
    last_use = {id(x): i for i, node in enumerate(nodes) for x in node.input_tensors}
    last_use |= {id(x): len(nodes) for x in outputs}
    alive: set[int] = set()
    counts = []
    for i, node in enumerate(nodes):
        alive |= {id(x) for x in node.outputs}
        alive = {key for key in alive if last_use.get(key, -1) > i}
        counts.append(len(alive))
    return counts
