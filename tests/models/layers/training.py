"""A layer in training, and how much of it is compiled."""

from typing import Any

import tensorflow as tf


def step_of(layer: Any, x: tf.Tensor, upstream: tf.Tensor) -> tuple[Any, Any, int]:
    """Outputs; gradients of the inputs and weights; the number of compiled calls."""

    @tf.function
    def step() -> Any:
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = layer(x, training=True)
        sources = [x, *[v.value for v in layer.trainable_variables]]
        return y, tape.gradient(y, sources, upstream)

    graph = step.get_concrete_function().graph
    return (*step(), len(compiled_calls(graph)))


def compiled_calls(graph: tf.Graph) -> list[str]:
    """The functions that XLA compiles, as often as the graph calls them."""
    nodes = graph.as_graph_def().node
    return [n.attr["f"].func.name for n in nodes if n.attr["_XlaMustCompile"].b]
