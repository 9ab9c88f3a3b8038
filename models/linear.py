"""One linear map: softmax regression, or linear regression."""

import keras

from models.architectures import LinearConfig
from models.inputs import input_tensor, preprocessing
from models.outputs import output_layers
from models.spec import Inputs, Outputs


def build(config: LinearConfig, inputs: Inputs, outputs: Outputs) -> keras.Model:
    """A Sequential model of one Dense layer over the flattened inputs."""
    layers = [
        input_tensor(inputs),
        preprocessing(inputs),
        keras.layers.Flatten(name="flatten"),
    ]
    if config.dropout:
        layers.append(keras.layers.Dropout(config.dropout, name="dropout"))
    return keras.Sequential([*layers, *output_layers(outputs)], name="linear")
