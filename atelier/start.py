"""What a command does before its work: TensorFlow started, facts of files kept."""

import sys

from app import caches, tf_startup
from base.errors import UserError


def start() -> None:
    """Starts TensorFlow as the commands do; nothing the second time.

    Raises:
      UserError: Keras runs on another backend in this process.
    """
    if "keras" in sys.modules:
        import keras

        if keras.backend.backend() != "tensorflow":
            raise UserError(
                f"Keras runs on {keras.backend.backend()} in this process: expected"
                " tensorflow; import atelier before keras"
            )
    tf_startup.import_tensorflow()
    caches.keep_file_facts()
