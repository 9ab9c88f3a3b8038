"""`atelier pack`: turns any source of images or vectors into a packed dataset."""

from app.configs.commands import PackingConfig

CONFIG = PackingConfig


def run(config: PackingConfig) -> int:
    """Packs, or verifies what was packed; returns the exit status."""
    from app.training.signals import PauseRequest
    from base.errors import EXIT_DONE, Interrupted
    from pipelines import packing

    if config.pack.verify:
        examples = packing.verify(config.pack)
        print(f"{config.pack.pack_dir}: {examples:,} examples, all as in the source")
        return EXIT_DONE
    pause = PauseRequest()
    try:
        with pause.installed(ends_process=True):
            path = packing.pack(config.pack, pause.is_asked, print)
    except packing.PackPaused:
        raise Interrupted(
            f"{config.pack.pack_dir} is not complete; the same command goes on"
        ) from None
    print(f"{path}: packed; --dataset={path} trains on it")
    return EXIT_DONE
