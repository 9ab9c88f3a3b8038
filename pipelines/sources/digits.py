"""scikit-learn's 1,797 handwritten digits, 8×8: the default that needs no download."""

import numpy as np

from pipelines.features import ClassLabel, ExampleSpec, Image
from pipelines.sources.arrays import ArraySource


def open_digits() -> ArraySource:
    """The digits as uint8 [1797, 8, 8, 1], 0 to 255.

    Optical Recognition of Handwritten Digits, UCI Machine Learning Repository (Alpaydin
    and Kaynak, 1998): pixels are counts from 0 to 16, spread over 0 to 255 here.
    """
    from sklearn import datasets

    bunch = datasets.load_digits()
    images = np.round(bunch.images * (255 / 16)).astype(np.uint8)[..., None]
    classes = tuple(str(name) for name in bunch.target_names)
    features = ExampleSpec(Image(images.shape[1:]), ClassLabel(classes))
    return ArraySource("digits", features, images, bunch.target.astype(np.int64))
