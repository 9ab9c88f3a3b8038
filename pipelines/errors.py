"""The one kind of error that this room raises for a user's mistake."""


class DataError(ValueError):
    """Bad data or a bad data flag, in one line.

    The line says what was received, what was expected, and what to do.
    """


def first_sentence(reason: str) -> str:
    """The core of a message of TensorFlow's, without its operations' names."""
    line = reason.strip().splitlines()[0].rpartition("}} ")[2]
    return line.partition(" [Op:")[0][:120].rstrip(". ")
