"""What is exported, how, and what may be lost by it; and what predicts."""

import dataclasses
import math

from base.errors import UserError
from base.fields import flag, require

FORMATS = ("saved_model", "litert")


@dataclasses.dataclass(frozen=True)
class ExportOptions:
    """The export"""

    format: str = flag(
        "saved_model",
        "What is published: saved_model (TensorFlow Serving, C, Python),"
        " litert (phones), or both: saved_model,litert.",
    )
    quantize: str = flag(
        "none",
        "Numbers of the LiteRT model: float16 weights, or int8 weights and"
        " activations. The SavedModel keeps the run's own precision.",
        choices=("none", "float16", "int8"),
    )
    max_accuracy_loss: float = flag(
        0.01,
        "What --quantize may cost on the validation split, by the task's own measure:"
        " of classification the accuracy it may take, 0.01 is one point in a hundred;"
        " of regression the mean absolute error it may add, in standard deviations of"
        " the targets. Beyond it nothing is published.",
    )
    calibrate: bool = flag(
        False,
        "Fit a temperature on the validation split, so that probabilities"
        " mean what they say; the class named stays the same.",
    )
    max_pixels: int | None = flag(
        None,
        "A larger image is refused before it is decoded, in the exported"
        " graph; by default the run's --max_pixels.",
    )

    def __post_init__(self) -> None:
        """Raises UserError for a format that is not known, or a value out of range."""
        formats = self.formats
        unknown = [name for name in formats if name not in FORMATS]
        require(
            bool(formats) and not unknown and len(set(formats)) == len(formats),
            "format",
            self.format,
            f"{' or '.join(FORMATS)}, or both with a comma between",
        )
        if self.quantize != "none" and "litert" not in formats:
            raise UserError(
                f"--quantize={self.quantize} is for the LiteRT model: give"
                " --format=saved_model,litert, or leave --quantize out"
            )
        loss, pixels = self.max_accuracy_loss, self.max_pixels
        require(0 <= loss < math.inf, "max_accuracy_loss", loss, "0 or more")
        require(pixels is None or pixels >= 1, "max_pixels", pixels, "1 or more")

    @property
    def formats(self) -> tuple[str, ...]:
        """The formats asked for."""
        return tuple(name.strip() for name in self.format.split(",") if name.strip())


@dataclasses.dataclass(frozen=True)
class PredictorConfig:
    """What predicts"""

    run_dir: str | None = flag(None, "Folder of the run that predicts.")
    export_dir: str | None = flag(
        None,
        "Folder of an export that predicts instead: RUN_DIR/export/1, or"
        " RUN_DIR/export for its newest version. Nothing else of the run is needed.",
    )

    def __post_init__(self) -> None:
        """Raises UserError unless one of the two is given."""
        if bool(self.run_dir) == bool(self.export_dir):
            received = "both are" if self.run_dir else "neither is"
            raise UserError(
                f"--run_dir or --export_dir: {received} given; name the folder of a"
                " run, or of an export"
            )
