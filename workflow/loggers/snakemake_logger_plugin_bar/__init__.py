"""Snakemake's logger plugin `bar`: `PYTHONPATH=workflow/loggers snakemake --logger bar …`, as `make demo` does."""

from logging import LogRecord

from snakemake_interface_logger_plugins.base import LogHandlerBase


class LogHandler(LogHandlerBase):
    """Shows a build as one progress bar."""

    writes_to_stream = True
    writes_to_file = False
    has_filter = True
    has_formatter = True
    needs_rulegraph = False

    def __post_init__(self) -> None:
        # Snakemake imports every plugin that it finds, wanted or not, before it reads a Snakefile: a `harness` imported
        # at the top would be this one, also where the Snakefile is another copy's.
        from rich.console import Console

        from harness.workflow.bar import Bar

        self.bar = Bar(Console(stderr=not self.common_settings.stdout))

    def emit(self, record: LogRecord) -> None:
        """Take one record of the log."""
        self.bar.take(record)

    def close(self) -> None:
        """End the bar."""
        self.bar.close()
        super().close()
