"""Snakemake's logger plugin `bar`: `PYTHONPATH=workflow/loggers snakemake --logger bar …`, as `make demo` does."""

from logging import LogRecord

from rich.console import Console
from snakemake_interface_logger_plugins.base import LogHandlerBase

from harness.workflow.bar import Bar


class LogHandler(LogHandlerBase):
    """Shows a build as one progress bar."""

    writes_to_stream = True
    writes_to_file = False
    has_filter = True
    has_formatter = True
    needs_rulegraph = False

    def __post_init__(self) -> None:
        self.bar = Bar(Console(stderr=not self.common_settings.stdout))

    def emit(self, record: LogRecord) -> None:
        """Take one record of the log."""
        self.bar.take(record)

    def close(self) -> None:
        """End the bar."""
        self.bar.close()
        super().close()
