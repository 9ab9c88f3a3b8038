"""A source of the user's own: `--dataset=package.module:name`.

It names a subclass of `Source`, or a function that gives a source or arrays. What a
source says of itself is tried on a few of its examples before any is used.
"""

import inspect
from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from base import own_parts
from base.errors import UserError
from pipelines import array_names
from pipelines.features import ExampleSpec
from pipelines.sources import npz
from pipelines.sources.base import SPLITS, Source
from pipelines.splits import usable_examples

_EXPECTED = (
    "expected a pipelines.sources.base.Source, arrays (x, y) or (x_train, y_train, "
    "x_test, y_test), or a dict of arrays x_train, y_train, …"
)


def open_own(reference: str) -> Source:
    """The source that the user's class or function gives.

    Raises:
        UserError: it gives something else, or what does not fit together.
        Exception: whatever the user's code raises.
    """
    asked = f"--dataset={reference}"
    part = own_parts.load_callable("dataset", reference)
    missing = sorted(getattr(part, "__abstractmethods__", ()))
    if inspect.isclass(part) and missing:
        raise UserError(
            f"{asked} lacks {', '.join(missing)}: see pipelines.sources.base.Source"
        )
    own_parts.require_takes("dataset", reference, part, "() -> a source, or arrays")
    made = part()
    if isinstance(made, Source):
        return _sound(asked, reference, made)
    arrays = array_names.named(asked, made, _EXPECTED)
    checked = {name: _array(asked, name, values) for name, values in arrays.items()}
    return npz.open_arrays(reference, checked)


def _array(asked: str, name: str, values: Any) -> np.ndarray:
    """An array of numbers, or of texts."""
    try:
        found = np.asarray(values)
    except ValueError:  # rows of different lengths
        found = np.array(None)
    if found.dtype.hasobject:
        raise UserError(
            f"{asked} gave {name}, which is no array of numbers (a {found.dtype} of "
            f"{type(values).__name__}); expected one"
        )
    return found


def _sound(asked: str, reference: str, source: Source) -> Source:
    """The source, named and with what it may leave out.

    Raises:
        UserError: what it says of itself does not hold.
    """
    if not getattr(source, "name", ""):
        source.name = reference
    if getattr(source, "given_splits", None) is None:
        source.given_splits = {}
    features = getattr(source, "features", None)
    if not isinstance(features, ExampleSpec):
        raise UserError(
            f"{asked} has features of type {type(features).__name__}: expected "
            "pipelines.features.ExampleSpec(input, target)"
        )
    size = len(source)
    if size < 1:
        raise UserError(f"{asked} has no examples: expected one or more")
    _require_splits(asked, source.given_splits, size)
    _require_weights(asked, source.weights, size)
    examine = source.examine

    def examine_and_try(max_pixels: int, allowed: int = 0) -> None:
        examine(max_pixels, allowed)
        _try(asked, source, size)

    # Only what was examined can be read.
    source.examine = examine_and_try  # type: ignore[method-assign]
    return source


def _try(asked: str, source: Source, size: int) -> None:
    usable = usable_examples(source)
    if len(usable):
        _require_inputs(asked, source, usable[[0, -1]])
        _require_targets(asked, source, usable)
    hashes = source.content_hashes()
    _require(
        asked,
        "content_hashes()",
        f"uint8 ({size}, 32), the SHA-256 of each example",
        _form(hashes),
        _form(hashes) == ("uint8", (size, 32)),
    )


def _require(asked: str, what: str, expected: str, found: Any, holds: bool) -> None:
    if isinstance(found, tuple):
        found = " ".join(map(str, found))
    if not holds:
        raise UserError(f"{asked}: {what} gave {found}: expected {expected}")


def _form(values: Any) -> tuple[str, tuple[int, ...]]:
    """Dtype and shape of an array; the type of what is none."""
    if isinstance(values, np.ndarray):
        return str(values.dtype), values.shape
    return type(values).__name__, ()


def _require_splits(asked: str, splits: Mapping[str, Any], size: int) -> None:
    for name, indices in splits.items():
        if name not in SPLITS:
            raise UserError(
                f"{asked} has a split {name!r}: expected some of {', '.join(SPLITS)}"
            )
        found = np.asarray(indices)
        inside = found.size == 0 or (found.min() >= 0 and found.max() < size)
        if found.dtype.kind not in "iu" or found.ndim != 1 or not inside:
            raise UserError(
                f"{asked}: given_splits[{name!r}] holds {_form(found)[0]} "
                f"{found.shape}: expected indices [k] from 0 to {size - 1}"
            )


def _require_weights(asked: str, weights: Any, size: int) -> None:
    if weights is None:
        return
    found = np.asarray(weights)
    positive = found.dtype.kind == "f" and (found > 0).all()
    fits = found.shape == (size,) and positive and np.isfinite(found).all()
    what = f"float32 ({size},), each above 0"
    _require(asked, "weights", what, _form(found), bool(fits))


def _require_inputs(asked: str, source: Source, rows: np.ndarray) -> None:
    """Inputs are as `features.input` says, read either way."""
    read, looked_up = source.read(rows), _looked_up(source, rows)
    if source.encoded:
        good = len(read) == len(rows) and all(isinstance(r, bytes) for r in read)
        found = f"{len(read)} of {', '.join({type(r).__name__ for r in read})}"
        _require(asked, "read", f"{len(rows)} bytes", found, good)
        same = list(read) == list(np.asarray(looked_up).reshape(-1))
    else:
        expected = source.features.input.batch_spec()
        _require_like(asked, "read", expected, read, len(rows))
        _require_like(asked, "lookup", expected, looked_up, len(rows))
        same = all(map(_equal, *map(tf.nest.flatten, (read, looked_up))))
    _require(asked, "lookup", "what read gives", "other inputs", same)


def _looked_up(source: Source, rows: np.ndarray) -> Any:
    """What `lookup` gives at `rows` as arrays: all at once, or one after the other."""
    if source.batched:
        found = source.lookup(tf.constant(rows, tf.int64))
        return tf.nest.map_structure(np.asarray, found)
    each = [source.lookup(tf.constant(row, tf.int64)) for row in rows]
    return tf.nest.map_structure(lambda *parts: np.stack(parts), *each)


def _require_targets(asked: str, source: Source, rows: np.ndarray) -> None:
    """Targets are as `features.target` says, read either way."""
    target = source.features.target
    read = source.read_targets(rows)
    prepared = tf.nest.map_structure(np.asarray, target.prepare(tf.constant(read)))
    _require_like(asked, "read_targets", target.batch_spec(), prepared, len(rows))
    looked_up = source.lookup_targets(tf.constant(rows[-1:], tf.int64))
    same = _equal(np.asarray(looked_up), np.asarray(read)[-1:])
    _require(asked, "lookup_targets", "what read_targets gives", "others", same)
    try:
        target.summary(np.asarray(read))
    except (ValueError, IndexError) as error:
        raise UserError(
            f"{asked}: read_targets gave targets that {target} does not have ({error})"
        ) from error


def _require_like(asked: str, what: str, specs: Any, values: Any, count: int) -> None:
    """Refuses arrays that are not a batch as `specs` has them."""
    try:
        tf.nest.assert_same_structure(specs, values)
    except (TypeError, ValueError):
        _require(asked, what, f"{specs}", type(values).__name__, False)
    pairs = zip(tf.nest.flatten(specs), tf.nest.flatten(values), strict=True)
    for spec, found in pairs:
        texts = spec.dtype == tf.string
        kind = "object" if texts else spec.dtype.name
        shape = [count, *spec.shape[1:]]
        dtype, is_shape = _form(found)
        fits = tf.TensorShape(shape).is_compatible_with(is_shape)
        expected = f"{kind} ({', '.join(str(side or 'n') for side in shape)})"
        alike = dtype == kind or (texts and dtype[:1] in "|<SU")
        _require(asked, what, expected, (dtype, is_shape), fits and alike)


def _equal(one: Any, other: Any) -> bool:
    """Whether arrays are, texts as their bytes."""
    first, second = (np.asarray(tf.constant(values)) for values in (one, other))
    return np.array_equal(first, second, equal_nan=first.dtype.kind == "f")
