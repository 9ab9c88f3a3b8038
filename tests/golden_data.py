"""Small data of every kind for the golden master, the same each time it is made."""

import pathlib
import tarfile

import h5py
import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
from PIL import Image

_CLASSES = {"cat": 60, "dog": 36, "elk": 24}


def make_data(folder: pathlib.Path) -> None:
    """Writes all that the cases are trained on into a new folder: always the same."""
    folder.mkdir()
    generator = np.random.default_rng(17)
    for place in ("photos", "bad"):
        for name, count in _CLASSES.items():
            _write_images(folder / place / name, count, generator)
    for split, share in (("train", 3), ("val", 8), ("test", 8)):
        for name, count in _CLASSES.items():
            _write_images(folder / "split" / split / name, count // share, generator)
    whole = (folder / "bad" / "cat" / "001.png").read_bytes()
    (folder / "bad" / "cat" / "001.png").write_bytes(whole[: len(whole) // 2])
    (folder / "bad" / "dog" / "page.jpg").write_text("<html>")
    copied = (folder / "photos" / "cat" / "002.png").read_bytes()
    (folder / "photos" / "cat" / "copy.png").write_bytes(copied)
    _picture(generator, 40, 30, 90).save(folder / "large.png")
    with tarfile.open(folder / "photos.tar", "w") as archive:
        archive.add(folder / "photos", ".")
    _write_arrays(folder, generator)
    _write_tables(folder, generator)


def _picture(
    generator: np.random.Generator, height: int, width: int, mean: float
) -> Image.Image:
    pixels = generator.normal(mean, 60, (height, width, 3)).clip(0, 255)
    return Image.fromarray(pixels.astype(np.uint8))


def _write_images(
    folder: pathlib.Path, count: int, generator: np.random.Generator
) -> None:
    """PNG files of several sizes, a few of them gray; each class has a brightness."""
    folder.mkdir(parents=True)
    mean = 60 + 60 * list(_CLASSES).index(folder.name)
    for i in range(count):
        picture = _picture(generator, 8 + i % 3, 8 + i % 4, mean)
        mode = "L" if i % 7 == 6 else "RGB"
        picture.convert(mode).save(folder / f"{i:03}.png")


def _write_arrays(folder: pathlib.Path, generator: np.random.Generator) -> None:
    """Images and vectors, of three classes or with values."""
    y = generator.integers(0, 3, 150)
    images = generator.normal(60 + 60 * y[:, None, None, None], 50, (150, 8, 8, 3))
    images = images.clip(0, 255).astype(np.uint8)
    vectors = generator.normal(y[:, None], 1, (150, 5)).astype(np.float32)
    values = vectors @ generator.normal(0, 2, (5, 3)).astype(np.float32) + 3
    np.savez(folder / "images.npz", x_train=images, y_train=y)
    np.savez(folder / "image_values.npz", x_train=images, y_train=values[:, 0])
    np.savez(folder / "vectors.npz", x_train=vectors, y_train=y)
    np.savez(folder / "values.npz", x_train=vectors, y_train=values[:, 0])
    np.savez(folder / "three_values.npz", x_train=vectors, y_train=values)
    parts = {"train": slice(0, 100), "validation": slice(100, 125)}
    with h5py.File(folder / "images.h5", "w") as file:
        for name, part in (parts | {"test": slice(125, 150)}).items():
            file[f"x_{name}"] = images[part]
            file[f"y_{name}"] = y[part]


def _write_tables(folder: pathlib.Path, generator: np.random.Generator) -> None:
    """Rows of numbers, texts, booleans and dates, in which values are missing."""
    table = _table(generator, 160)
    pa.csv.write_csv(table, folder / "table.csv")
    pa.parquet.write_table(table, folder / "table.parquet")
    holes = [None if i % 40 == 3 else v.as_py() for i, v in enumerate(table["kept"])]
    at = table.column_names.index("kept")
    pa.csv.write_csv(table.set_column(at, "kept", [holes]), folder / "holes.csv")
    rows = _table(generator, 12)
    pa.csv.write_csv(rows, folder / "rows.csv")
    pa.parquet.write_table(rows, folder / "rows.parquet")


def _table(generator: np.random.Generator, rows: int) -> pa.Table:
    age = generator.normal(40, 12, rows).round(1)
    visits = generator.integers(0, 9, rows)
    port = generator.choice(["Cork", "Genoa", "Riga"], rows)
    alone = generator.random(rows) < 0.4
    days = generator.integers(0, 4000, rows).astype("datetime64[D]")
    price = age * 2 + visits + generator.normal(0, 5, rows)
    missing = generator.random((3, rows)) < 0.1
    return pa.table(
        {
            "age": pa.array(age, mask=missing[0]),
            "visits": visits,
            "port": pa.array(port, mask=missing[1]),
            "alone": pa.array(alone, mask=missing[2]),
            "since": days,
            "weight": generator.uniform(0.5, 2, rows).round(2),
            "price": price.round(2),
            "kept": np.where(price + 20 * alone > 90, "yes", "no"),
        }
    )
