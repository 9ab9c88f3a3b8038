"""One linear map: softmax regression, or linear regression."""

import keras

from models.architectures import LinearConfig
from models.inputs import stack_layers
from models.outputs import output_layers
from models.spec import Inputs, Outputs


def build(config: LinearConfig, inputs: Inputs, outputs: Outputs) -> keras.Model:
    """A model of one Dense layer over the flattened inputs."""
    layers: list[keras.layers.Layer] = []
    if config.dropout:
        layers.append(keras.layers.Dropout(config.dropout, name="dropout"))
    return stack_layers(inputs, [*layers, *output_layers(outputs)], "linear")
