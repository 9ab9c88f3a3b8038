"""The golden master's cases: what is trained on what, and the commands that do so.

Left out, as they do not repeat to the last bit: parameter servers (a step meets the
weights as it finds them) and `--precision=auto` (it measures).
"""

import dataclasses
from collections.abc import Iterator

_DONE, _PAUSED = 0, 75


@dataclasses.dataclass(frozen=True)
class Case:
    """What is trained on what, and what is done with it. Flags are parted by spaces.

    Attributes:
      flags: of `train`.
      pack: of `pack`, which comes first; the run's dataset is then packed/CASE.
      predict: input of `predict`, where the run takes any.
      export: of `export`, if there is one; the export then predicts, too.
      pause: `--stop_after` of a first start; a second one goes on.
      split: that `evaluate` evaluates.
      launch: of `launch`, if that is what trains.
    """

    flags: str
    pack: str | None = None
    predict: str | None = None
    export: str | None = None
    pause: float | None = None
    split: str = "test"
    launch: str | None = None


@dataclasses.dataclass(frozen=True)
class Command:
    """Arguments of `atelier`, and the exit status that they shall end with."""

    arguments: tuple[str, ...]
    status: int = _DONE


_ALWAYS = "--epochs=2 --batch_size=16 --threads=1 --progress=quiet --nofigures"
_SMALL = "--image_size=8 --model=cnn --model_args=depth=2,width=4"
_PHOTOS = f"--dataset=data/photos {_SMALL}"
_MLP = "--model=mlp --model_args=width=16"
_TABLE = f"--dataset=data/table.csv --target=kept {_MLP}"
_SEEN = "data/photos/elk,data/large.png"
_BOTH = "--format=saved_model,litert"

CASES = {
    # Every kind of data.
    "digits": Case("--dataset=digits --model=linear --epochs=0.25"),
    "images": Case(_PHOTOS, predict=_SEEN, export=f"{_BOTH} --calibrate"),
    "images_split": Case(f"--dataset=data/split {_SMALL}", predict=_SEEN),
    "images_bad": Case(f"--dataset=data/bad {_SMALL} --max_bad_examples=3"),
    "images_tar": Case(f"--dataset=data/photos.tar {_SMALL}"),
    "images_npz": Case(f"--dataset=data/images.npz {_MLP}", predict=_SEEN),
    "images_h5": Case(f"--dataset=data/images.h5 {_SMALL} --cache=none"),
    "images_values": Case(
        "--dataset=data/image_values.npz --model=cnn --model_args=depth=2,width=4",
        predict=_SEEN,
        export="--format=saved_model",
    ),
    "vectors": Case(f"--dataset=data/vectors.npz {_MLP},dropout=0.2", export=_BOTH),
    "vector_values": Case(f"--dataset=data/values.npz {_MLP} --loss=huber"),
    "vector_three_values": Case(
        f"--dataset=data/three_values.npz {_MLP}", export="--format=saved_model"
    ),
    "table": Case(_TABLE, predict="data/rows.csv", export=f"{_BOTH} --calibrate"),
    "table_values": Case(
        f"--dataset=data/table.csv --target=price {_MLP} --loss=mae",
        predict="data/rows.csv",
        export=_BOTH,
    ),
    "table_bad": Case(
        f"--dataset=data/holes.csv --target=kept {_MLP} --max_bad_examples=9"
    ),
    "parquet": Case(
        f"--dataset=data/table.parquet --target=kept {_MLP}",
        predict="data/rows.parquet",
    ),
    "packed": Case(_SMALL, pack="--dataset=data/photos --examples_per_shard=50"),
    "packed_pixels": Case(
        "--image_size=8 --model=linear --augment=crop",
        pack="--dataset=data/photos --decode --image_size=10 --format=tfrecord",
    ),
    "packed_h5": Case(
        _SMALL, pack="--dataset=data/photos --decode --image_size=8 --format=hdf5"
    ),
    "packed_tar": Case(_SMALL, pack="--dataset=data/photos --format=tar"),
    "packed_vectors": Case(_MLP, pack="--dataset=data/vectors.npz"),
    "packed_values": Case(_MLP, pack="--dataset=data/three_values.npz"),
    # What is minimized, and how.
    "resnet": Case(
        "--dataset=data/photos --image_size=8 --model=resnet"
        " --model_args=depth=8,width=4,dropout=0.1 --optimizer=sgd --nesterov"
        " --schedule=one_cycle --weight_decay=0.01 --clip_norm=1 --recompute",
        predict=_SEEN,
    ),
    "vit": Case(
        "--dataset=data/photos --image_size=8 --model=vit"
        " --model_args=depth=2,width=12,positions=learnt --warmup_epochs=1"
    ),
    "airbench": Case(
        "--dataset=data/photos --image_size=16 --model=airbench --whitening=2"
        " --model_args=width=4 --optimizer=conv_muon --schedule=triangular"
    ),
    "branches": Case(
        "--dataset=data/photos --image_size=8 --model=branches --logical_cpus=2"
        " --model_args=depth=1,width=4,devices=cpu:0+cpu:1 --schedule=step"
    ),
    "whitening": Case(f"{_PHOTOS} --whitening=2"),
    "label_smoothing": Case(f"{_PHOTOS} --label_smoothing=0.1 --optimizer=adam"),
    "ema": Case(f"{_PHOTOS} --ema=0.9 --optimizer=rmsprop", predict=_SEEN),
    "bfloat16": Case(f"{_PHOTOS} --precision=mixed_bfloat16", predict=_SEEN),
    "float16": Case(f"{_PHOTOS} --precision=mixed_float16"),
    "eager": Case(f"{_PHOTOS} --eager --epochs=1"),
    # Batches.
    "augment": Case(f"{_PHOTOS} --augment=flip,crop,mixup=0.2 --log_norms"),
    "augment_all": Case(
        f"{_PHOTOS} --augment=alternating_flip,translate=1,rotate=10,reflect,"
        "brightness=0.2,contrast=0.2,noise=4,cutout=2"
    ),
    "oversample": Case(f"{_PHOTOS} --balance=oversample"),
    "class_weights": Case(f"{_PHOTOS} --class_weights=balanced"),
    "class_weights_named": Case(f"{_PHOTOS} --class_weights=cat=1,elk=2.5"),
    "table_weights": Case(f"{_TABLE} --weights=weight", predict="data/rows.csv"),
    # Evaluations and answers.
    "views": Case(
        f"{_PHOTOS} --test_time_augmentation=flip", predict=_SEEN, export=_BOTH
    ),
    "views_six": Case(f"{_PHOTOS} --test_time_augmentation=flip_translate"),
    "validation_sets": Case(
        f"{_PHOTOS} --validation_sets=day=data/split/train,night=data/split/val"
        " --monitor=validation_night/loss",
        split="validation_night",
    ),
    "early_stopping": Case(
        f"{_TABLE} --early_stopping=1 --epochs=6 --evaluate_every=0.5"
        " --learning_rate=0.3"
    ),
    "quantized": Case(_PHOTOS, export=f"{_BOTH} --quantize=int8 --max_accuracy_loss=1"),
    # Starts and devices.
    "resume": Case(f"{_PHOTOS} --augment=flip --epochs=3", pause=1, predict=_SEEN),
    "accumulate": Case(f"{_PHOTOS} --accumulate=2"),
    "replicas": Case(f"{_PHOTOS} --strategy=mirrored --logical_cpus=2", predict=_SEEN),
    "replicas_accumulate": Case(
        f"{_PHOTOS} --strategy=mirrored --logical_cpus=2 --accumulate=2"
    ),
    "replicas_sync": Case(
        f"{_PHOTOS} --strategy=mirrored --logical_cpus=2 --sync_batch_norm"
    ),
    "workers": Case(_PHOTOS, launch="--workers=2"),
}


def commands_of(name: str, case: Case, seed: int | None) -> Iterator[Command]:
    """The commands of a case, in order; `seed` is another than its own."""
    run = f"--run_dir=runs/{name}"
    train = ["train", run, *_ALWAYS.split(), *case.flags.split()]
    train += [] if seed is None else [f"--seed={seed}"]
    if case.pack is not None:
        suffix = {"--format=hdf5": ".h5", "--format=tar": ".tar"}
        target = f"packed/{name}{suffix.get(case.pack.split()[-1], '')}"
        train.append(f"--dataset={target}")
        yield Command(("pack", f"--pack_dir={target}", *case.pack.split()))
    if case.pause is not None:
        yield Command((*train, f"--stop_after={case.pause}"), _PAUSED)
    launch = () if case.launch is None else ("launch", *case.launch.split(), "--")
    yield Command((*launch, *train))
    yield Command(("evaluate", run, f"--split={case.split}"))
    if case.predict:
        yield _predict(run, case.predict, f"{name}-run.csv")
    if case.export:
        yield Command(("export", run, *case.export.split()))
        if case.predict:
            source = f"--export_dir=runs/{name}/export/1"
            yield _predict(source, case.predict, f"{name}-export.csv")


def _predict(source: str, given: str, output: str) -> Command:
    return Command(("predict", source, f"--input={given}", f"--output={output}"))
