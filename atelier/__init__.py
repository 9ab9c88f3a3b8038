"""Atelier from Python and in notebooks: `train`, `open`, and the `Run` they give.

    import atelier

    run = atelier.train(dataset="digits", model="cnn", epochs=3, run_dir="runs/digits")
    run.results["validation"]

The flags of the commands are the keyword arguments here, by the same names, and what
they mean, their defaults and their mistakes are the same. Importing this imports no
TensorFlow; it sets the environment that TensorFlow and Keras read when they are, as the
commands do, so import it before them.
"""

from app import tf_startup
from atelier.run import Metrics, Run
from atelier.run import open_run as open  # noqa: A004 (atelier.open, as in gzip.open)
from atelier.training import train
from base.errors import ExportRefused, Interrupted, TrainingFailed, UserError

__all__ = [
    "ExportRefused",
    "Interrupted",
    "Metrics",
    "Run",
    "TrainingFailed",
    "UserError",
    "open",
    "train",
]

tf_startup.set_environment()
