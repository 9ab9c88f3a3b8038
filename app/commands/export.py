"""`atelier export`: publishes a run as a SavedModel, for LiteRT, or both."""

from app.configs.commands import ExportConfig

CONFIG = ExportConfig


def run(config: ExportConfig) -> int:
    """Exports; returns the exit status."""
    from app.serving import exporting
    from base.errors import EXIT_DONE

    print(exporting.report(exporting.export(config)))
    return EXIT_DONE
