"""What each command is told: the rooms' config dataclasses, composed.

Importing this module imports no TensorFlow, so that `--help` answers at once.
"""

import dataclasses

from app.configs.distribution import DistributionConfig, LocalCluster
from app.configs.searching import AgentConfig
from app.configs.serving import ExportOptions, PredictorConfig
from app.configs.training import (
    EvaluationConfig,
    PredictionConfig,
    RunConfig,
    TrainingConfig,
    WeightsConfig,
)
from models.config import LossConfig, ModelConfig, OptimizerConfig
from pipelines.config import DataConfig
from pipelines.packconfig import PackConfig
from tuning.config import SearchConfig


@dataclasses.dataclass(frozen=True)
class TrainConfig:
    """Everything a training run is a function of."""

    run: RunConfig
    data: DataConfig
    model: ModelConfig
    loss: LossConfig
    optimizer: OptimizerConfig
    training: TrainingConfig
    distribution: DistributionConfig


@dataclasses.dataclass(frozen=True)
class EvaluateConfig:
    """What is evaluated, and on what."""

    run: RunConfig
    weights: WeightsConfig
    evaluation: EvaluationConfig


@dataclasses.dataclass(frozen=True)
class PredictConfig:
    """What is predicted, and with what."""

    run: PredictorConfig
    weights: WeightsConfig
    prediction: PredictionConfig


@dataclasses.dataclass(frozen=True)
class PackingConfig:
    """What is packed, and how."""

    pack: PackConfig


@dataclasses.dataclass(frozen=True)
class ExportConfig:
    """What is exported, and how."""

    run: RunConfig
    weights: WeightsConfig
    export: ExportOptions


@dataclasses.dataclass(frozen=True)
class TuneConfig:
    """What is searched, how, and all that is the same in every trial."""

    run: RunConfig
    search: SearchConfig
    agent: AgentConfig
    data: DataConfig
    model: ModelConfig
    loss: LossConfig
    optimizer: OptimizerConfig
    training: TrainingConfig
    distribution: DistributionConfig


@dataclasses.dataclass(frozen=True)
class LaunchConfig:
    """How many processes are started, and what becomes of them."""

    cluster: LocalCluster
