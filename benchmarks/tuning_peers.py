"""The peers of benchmarks.tuning, each as its own tutorial has it.

`python -m benchmarks.tuning_peers PEER DATA LOG FOLDER SEED TRIALS EPOCHS` searches,
and adds the validation accuracy of each epoch to LOG.
"""

import pathlib
import sys
from typing import Any

PEERS = ("keras_tuner_random", "keras_tuner_hyperband", "optuna")

_BATCH_SIZES = [32, 64, 128]
_WIDTHS = [16, 32, 64, 128]
_RATES = (1e-4, 1e-1)


def main() -> None:
    """Runs the peer that the command line names."""
    peer, path, log, folder, *numbers = sys.argv[1:]
    seed, trials, epochs = map(int, numbers)
    data = _data(path)
    if peer == "optuna":
        _optuna(data, pathlib.Path(log), seed, trials, epochs)
    else:
        _keras_tuner(peer, data, pathlib.Path(log), folder, seed, trials, epochs)


def _data(path: str) -> dict[str, Any]:
    """What benchmarks.tuning wrote, as `fit` takes it."""
    import numpy as np

    with np.load(path) as arrays:
        return {
            split: (arrays[f"x_{split}"].astype(np.float32), arrays[f"y_{split}"])
            for split in ("train", "validation")
        }


def _model(width: int, optimizer: str, rate: float) -> Any:
    import keras

    layers = [keras.layers.Rescaling(1 / 255), keras.layers.Flatten()]
    layers += [keras.layers.Dense(width, activation="relu") for _ in range(2)]
    model = keras.Sequential([*layers, keras.layers.Dense(10)])
    sgd, adam = keras.optimizers.SGD, keras.optimizers.Adam
    model.compile(
        optimizer=sgd(rate, momentum=0.9) if optimizer == "sgd" else adam(rate),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    return model


def _logger(log: pathlib.Path) -> Any:
    import keras

    def write(epoch: int, logs: dict[str, float]) -> None:
        del epoch
        with open(log, "a") as file:
            file.write(f"{logs['val_accuracy']}\n")

    return keras.callbacks.LambdaCallback(on_epoch_end=write)


def _keras_tuner(
    peer: str,
    data: dict[str, Any],
    log: pathlib.Path,
    folder: str,
    seed: int,
    trials: int,
    epochs: int,
) -> None:
    """KerasTuner; the batch size is tuned in `HyperModel.fit`, as in its guide."""
    import keras_tuner

    class Tuned(keras_tuner.HyperModel):
        def build(self, hp: Any) -> Any:
            return _model(
                hp.Choice("width", _WIDTHS),
                hp.Choice("optimizer", ["sgd", "adam"]),
                hp.Float("learning_rate", *_RATES, sampling="log"),
            )

        def fit(self, hp: Any, model: Any, *args: Any, **kwargs: Any) -> Any:
            size = hp.Choice("batch_size", _BATCH_SIZES)
            return model.fit(*args, batch_size=size, **kwargs)

    options = {
        "hypermodel": Tuned(),
        "objective": "val_accuracy",
        "seed": seed + 1,
        "directory": folder,
        "project_name": "peer",
    }
    if peer == "keras_tuner_hyperband":
        tuner = keras_tuner.Hyperband(max_epochs=epochs, **options)
    else:
        tuner = keras_tuner.RandomSearch(max_trials=trials, **options)
    tuner.search(
        *data["train"],
        epochs=epochs,
        validation_data=data["validation"],
        callbacks=[_logger(log)],
        verbose=0,
    )


def _optuna(
    data: dict[str, Any], log: pathlib.Path, seed: int, trials: int, epochs: int
) -> None:
    """Optuna's TPE with its median pruner around `fit`."""
    import keras
    import optuna

    def objective(trial: Any) -> float:
        model = _model(
            trial.suggest_categorical("width", _WIDTHS),
            trial.suggest_categorical("optimizer", ["sgd", "adam"]),
            trial.suggest_float("learning_rate", *_RATES, log=True),
        )

        def report(epoch: int, logs: dict[str, float]) -> None:
            trial.report(logs["val_accuracy"], epoch)
            if trial.should_prune():
                raise optuna.TrialPruned

        history = model.fit(
            *data["train"],
            batch_size=trial.suggest_categorical("batch_size", _BATCH_SIZES),
            epochs=epochs,
            validation_data=data["validation"],
            callbacks=[
                _logger(log),
                keras.callbacks.LambdaCallback(on_epoch_end=report),
            ],
            verbose=0,
        )
        return float(max(history.history["val_accuracy"]))

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(
        direction="maximize",
        sampler=optuna.samplers.TPESampler(seed=seed),
        pruner=optuna.pruners.MedianPruner(),
    )
    study.optimize(objective, n_trials=trials)


if __name__ == "__main__":
    main()
