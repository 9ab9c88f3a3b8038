"""The workloads of benchmarks.training_step: what is trained, for every arm alike.

Examples are random: nothing here depends on what they hold. Imports neither TensorFlow
nor PyTorch.
"""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Workload:
    """A network, its batches, and the least speed over the peers that is wanted.

    Attributes:
      title: for tables.
      flags: of `atelier train`.
      shape: of an example; pixels if it has three sides, else features.
      examples: in memory.
      batch: examples in a step.
      wanted_over_fit: examples/s over those of Keras' `fit`.
      wanted_over_torch: examples/s over those of PyTorch's best setting.
    """

    title: str
    flags: tuple[str, ...]
    shape: tuple[int, ...]
    examples: int
    batch: int
    wanted_over_fit: float
    wanted_over_torch: float


CLASSES = 10
WORKLOADS = {
    "mlp": Workload(
        "MLP 64-128-128-10, batch 128",
        ("--model=mlp", "--model_args=width=128,depth=2"),
        (64,),
        12_800,
        128,
        8.0,
        2.5,
    ),
    "cnn": Workload(
        "cnn on 28x28, batch 128",
        ("--model=cnn", "--model_args=width=32,depth=3"),
        (28, 28, 1),
        2_560,
        128,
        2.5,
        1.3,
    ),
    "resnet20": Workload(
        "ResNet-20 on 32x32, batch 128",
        ("--model=resnet", "--model_args=depth=20"),
        (32, 32, 3),
        2_560,
        128,
        2.2,
        1.3,
    ),
    "resnet50": Workload(
        "ResNet-50 on 224x224, batch 16",
        ("--model=resnet", "--model_args=depth=50"),
        (224, 224, 3),
        64,
        16,
        2.5,
        1.15,
    ),
    "vit": Workload(
        "ViT (6 blocks, width 192, patch 4) on 32x32, batch 128",
        ("--model=vit", "--model_args=depth=6,width=192,heads=3,patch=4"),
        (32, 32, 3),
        1_280,
        128,
        1.6,
        1.3,
    ),
}


@dataclasses.dataclass
class Figures:
    """What an arm prints as its last line, as JSON.

    Attributes:
      examples_per_second: in the steady state.
      cpu_ms_per_example: CPU time of the process there, over all cores.
      first_step_seconds: from a ready program to the end of the first step: compiling.
      steps: that were measured.
    """

    examples_per_second: float
    cpu_ms_per_example: float
    first_step_seconds: float
    steps: int
