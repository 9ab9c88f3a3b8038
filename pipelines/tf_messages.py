"""What TensorFlow says of a mistake, as a user can read it."""


def first_sentence(reason: str) -> str:
    """The core of a message of TensorFlow's, without its operations' names."""
    line = reason.strip().splitlines()[0].rpartition("}} ")[2]
    return line.partition(" [Op:")[0][:120].rstrip(". ")
