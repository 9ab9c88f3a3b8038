"""What parameter servers cannot do: flags and data that a run of theirs refuses."""

from app.configs.commands import TrainConfig
from base.errors import UserError
from pipelines.dataset import Dataset
from pipelines.feed import Feed


def require_flags_fit(config: TrainConfig) -> None:
    """Checks that no flag asks for a state that workers would overwrite.

    Raises:
      UserError: one does.
    """
    unfit = {
        "--eager": config.training.eager,
        "--ema": config.optimizer.ema is not None,
        "--optimizer=nadam": config.optimizer.optimizer == "nadam",
        "--precision=mixed_float16": config.training.precision == "mixed_float16",
        "--precision=auto": config.training.precision == "auto",
        "--recompute": config.distribution.recompute,
    }
    for name, given in unfit.items():
        if given:
            raise UserError(
                f"{name} with parameter servers, whose workers change one state at the"
                " same time: expected a run without it; drop it, or train synchronously"
            )


def require_readable(config: TrainConfig, dataset: Dataset, feed: Feed) -> None:
    """Checks that workers can read the data, or hold it.

    Raises:
      UserError: they cannot.
    """
    if not feed.resident and not dataset.source.native:
        raise UserError(
            f"--dataset={config.data.dataset} is read by Python, which cannot run on"
            " the workers of parameter servers: expected a folder of image files that"
            " they see too, a source of your own that is native, or data that fits in"
            " their memory: --cache=memory, after `atelier pack --decode"
            " --image_size=…` if it is too large as it is"
        )
