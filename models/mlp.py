"""A multilayer perceptron."""

import keras

from models.architectures import MLPConfig
from models.inputs import stack_layers
from models.layers.activation import Activation
from models.layers.batch_normalization import BatchNormalization
from models.outputs import output_layers
from models.spec import Inputs, Outputs


def build(config: MLPConfig, inputs: Inputs, outputs: Outputs) -> keras.Model:
    """A model of `config.depth` hidden layers over the flattened inputs."""
    layers: list[keras.layers.Layer] = []
    for index in range(config.depth):
        layers.extend(_hidden(config, f"hidden{index + 1}"))
    return stack_layers(inputs, [*layers, *output_layers(outputs)], "mlp")


def _hidden(config: MLPConfig, name: str) -> list[keras.layers.Layer]:
    normalized = config.batch_normalization
    he = config.activation != "selu"
    layers = [
        keras.layers.Dense(
            config.width,
            use_bias=not normalized,
            kernel_initializer="he_normal" if he else "lecun_normal",
            name=name,
        )
    ]
    if normalized:
        layers.append(BatchNormalization(momentum=0.9, name=f"{name}_norm"))
    layers.append(Activation(config.activation, name=f"{name}_activation"))
    if config.dropout:
        layers.append(keras.layers.Dropout(config.dropout, name=f"{name}_dropout"))
    return layers
