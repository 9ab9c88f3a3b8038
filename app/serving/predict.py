"""Predicts what `--input` names with a run or an export: what `atelier predict` does.

How files become examples is the input's, see `inputs`; what is written of an answer the
task's, see `answer_table`.
"""

import csv
import io
import pathlib

from app.configs.commands import PredictConfig
from app.serving.answer_table import table_of
from app.serving.loading import load_predictor
from base import files
from base.errors import EXIT_DONE, UserError

Row = list[str]


def predict(config: PredictConfig) -> int:
    """Writes a CSV line for each example.

    Raises:
      UserError: no such run or files, or a file that cannot be read.
    """
    assert config.prediction.input and config.prediction.output
    output = pathlib.Path(config.prediction.output)
    _require_writable(output)
    _require_inputs(config.prediction.input)
    predictor = load_predictor(config)
    contract, top_k = predictor.contract, config.prediction.top_k
    table, rows, skipped = table_of(contract), [], 0
    run = str(config.run.run_dir or config.run.export_dir)
    for batch in contract.input.read(config.prediction, run):
        skipped += batch.skipped
        answers = predictor.answers(batch.examples) if batch.names else {}
        for row, name in enumerate(batch.names):
            answer = {key: values[row] for key, values in answers.items()}
            rows.append([name, *table.cells(answer, contract, top_k)])
    header = [contract.input.example_column, *table.header(contract, top_k)]
    files.write_text(output, _csv(header, rows))
    left_out = f", {skipped} skipped" if skipped else ""
    print(f"{output}: {len(rows)} {contract.input.read_as}{left_out}")
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


def _csv(names: Row, rows: list[Row]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(names)
    writer.writerows(rows)
    return text.getvalue()
