"""Predicts files with a run or an export: what `atelier predict` does.

Rows of tables are `table_prediction`'s.
"""

import csv
import io
import pathlib
import sys
from collections.abc import Iterator

from app.configs.commands import PredictConfig
from app.configs.training import PredictionConfig
from app.serving import predict_rows
from app.serving.answer_cells import cells, header
from app.serving.loading import Predictor, load_predictor
from base import files
from base.errors import EXIT_DONE, UserError
from pipelines.files import list_images, read_images

Row = list[str]


def predict(config: PredictConfig) -> int:
    """Writes a CSV line for each file.

    Raises:
      UserError: no such run or files, or a file that cannot be read.
    """
    assert config.prediction.input and config.prediction.output
    output = pathlib.Path(config.prediction.output)
    _require_writable(output)
    _require_inputs(config.prediction.input)
    predictor = load_predictor(config)
    features, top_k = predictor.contract.features, config.prediction.top_k
    if features.kind == "table":
        rows = list(predict_rows.lines(config.prediction, predictor))
        files.write_text(output, _csv(header(features, top_k, "row"), rows))
        print(f"{output}: {len(rows)} rows")
        return EXIT_DONE
    if features.kind != "image":
        raise UserError(
            f"{config.run.run_dir or config.run.export_dir} was trained on"
            f" {features.kind}s: expected a run or an export of one on images or tables"
        )
    paths = list_images(config.prediction.input.split(","))
    rows = list(_rows(config.prediction, predictor, paths))
    files.write_text(output, _csv(header(features, top_k, "path"), rows))
    skipped = len(paths) - len(rows)
    print(f"{output}: {len(rows)} files" + (f", {skipped} skipped" if skipped else ""))
    return EXIT_DONE


def _require_inputs(inputs: str) -> None:
    """Finds out that an input is not there before a model is loaded.

    Raises:
      UserError: a path of those, with commas between, does not exist.
    """
    for given in inputs.split(","):
        if not pathlib.Path(given).exists():
            raise UserError(f"--input={given}: no such file or folder")


def _require_writable(output: pathlib.Path) -> None:
    """Finds out that the CSV cannot be written before anything is computed.

    Raises:
      UserError: it is a folder, or its folder is not there.
    """
    if output.is_dir():
        raise UserError(f"--output={output} is a folder: expected a file's name")
    if not output.absolute().parent.is_dir():
        raise UserError(
            f"--output={output}: the folder {output.absolute().parent} is not there;"
            " make it first"
        )


def _rows(
    config: PredictionConfig, predictor: Predictor, paths: list[str]
) -> Iterator[Row]:
    """CSV rows, in the order of the files.

    Raises:
      UserError: a file cannot be read, and none may be skipped.
    """
    contract = predictor.contract
    height, width, channels = contract.example_shape
    for batch in read_images(
        paths, (height, width, channels), config.batch_size, contract.max_pixels
    ):
        for problem in batch.problems:
            if not config.skip_unreadable:
                raise UserError(f"{problem} --skip_unreadable goes on without it")
            print(f"skipped: {problem}", file=sys.stderr)
        if batch.paths:
            answers = predictor.answers(batch.images)
            for row, path in enumerate(batch.paths):
                answer = {name: values[row] for name, values in answers.items()}
                yield [path, *cells(answer, contract.features, config.top_k)]


def _csv(names: Row, rows: list[Row]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(names)
    writer.writerows(rows)
    return text.getvalue()
