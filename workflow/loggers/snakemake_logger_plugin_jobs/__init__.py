"""Snakemake's jobs as lines of JSON, in the file LOOKALIKE_JOBS: what `python -m lookalike.plan` asks a dry run for with `--logger jobs`."""

import json
import os
from logging import LogRecord
from pathlib import Path

from snakemake_interface_logger_plugins.base import LogHandlerBase
from snakemake_interface_logger_plugins.common import LogEvent


class LogHandler(LogHandlerBase):
    """Writes jobs, and leaves everything else to Snakemake's own handler."""

    writes_to_stream = writes_to_file = has_filter = has_formatter = needs_rulegraph = False

    def __post_init__(self) -> None:
        """Standard output is Snakemake's, so the jobs go to a file."""
        self.file = Path(os.environ["LOOKALIKE_JOBS"])

    def emit(self, record: LogRecord) -> None:
        """A line a job."""
        if getattr(record, "event", None) == LogEvent.JOB_INFO:
            files = {"inputs": list(record.input or ()), "outputs": list(record.output or ())}
            resources = {name: record.resources.get(name) for name in ("mem_mb", "gpu")}
            job = {"rule": record.rule_name, "wildcards": dict(record.wildcards or {}), "threads": record.threads, **files, **resources}
            with self.file.open("a") as file:
                file.write(json.dumps(job) + "\n")
