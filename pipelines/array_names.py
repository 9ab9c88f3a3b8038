"""Arrays without names, by the names that they would have in an .npz file."""

from collections.abc import Mapping
from typing import Any

from base.errors import UserError

# By their number.
_NAMES = {
    2: ("x_train", "y_train"),
    4: ("x_train", "y_train", "x_test", "y_test"),
    6: ("x_train", "y_train", "x_validation", "y_validation", "x_test", "y_test"),
}


def named(asked: str, data: Any, expected: str) -> dict[str, Any]:
    """Arrays by their names in an .npz file.

    Args:
        asked: how the user named the data, for the message.
        data: arrays by name, or in the order of `_NAMES`, in pairs too as Keras'
            load_data gives them.
        expected: for the message.

    Raises:
        UserError: it is nothing of these.
    """
    if isinstance(data, Mapping):
        return {str(name): values for name, values in data.items()}
    if not isinstance(data, list | tuple):
        raise UserError(f"{asked}: received a {type(data).__name__}; {expected}")
    parts = list(data)
    if all(isinstance(part, tuple) and len(part) == 2 for part in parts):
        parts = [values for pair in parts for values in pair]
    if len(parts) not in _NAMES:
        raise UserError(f"{asked}: received {len(parts)} arrays; {expected}")
    return dict(zip(_NAMES[len(parts)], parts, strict=True))
