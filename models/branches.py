"""Convolutional towers side by side over one image, as a functional model."""

import keras

from base.errors import UserError
from models.architectures import BranchesConfig
from models.cnn import tower
from models.inputs import image_features, input_tensor, require_image
from models.outputs import apply_outputs
from models.spec import Inputs, Outputs


def build(config: BranchesConfig, inputs: Inputs, outputs: Outputs) -> keras.Model:
    """Towers that differ in their initial weights, and one last layer over all of them.

    As the columns of Ciresan et al., Multi-column Deep Neural Networks for Image
    Classification, 2012, https://arxiv.org/abs/1202.2745, but trained together: what
    one tower has learnt another need not. Nothing passes between towers before the last
    layer, so each may be on a device of its own, as the two halves of AlexNet were
    (Krizhevsky et al. 2012).
    """
    require_image("branches", inputs, smallest=2 ** (config.depth - 1))
    if config.branches < 2:
        raise UserError(
            f"branches argument branches={config.branches}: expected 2 or more; use"
            " --model=cnn for one tower"
        )
    images = input_tensor(inputs)
    x = image_features(inputs, images)
    towers = [
        tower(x, config, f"branch{index + 1}_") for index in range(config.branches)
    ]
    features = keras.layers.Concatenate(name="features")(towers)
    outputs_tensor = apply_outputs(features, outputs, config.dropout)
    return keras.Model(images, outputs_tensor, name="branches")
