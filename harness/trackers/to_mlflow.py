"""Runs in a tracking store of MLflow: an experiment a protocol, a run a record."""

from __future__ import annotations

import logging
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

from harness.data.atomic import make_folder
from harness.trackers.run import Run, plain
from harness.workflow.store import reached

# Read when MLflow is imported. Nothing goes where nobody sent it; a server that is not there is no matter of minutes.
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")
os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")

from mlflow import MlflowClient
from mlflow.entities import Metric, Param, RunTag
from mlflow.entities import Run as Tracked

SEAL, DIGEST = "cavga.seal", "cavga.digest"
"""Tags: the seal of a run's record, and, once the run is whole, the digest of what was told of it."""
AT_ONCE = 1000
"""MLflow takes so many metrics in one call."""


class MLflow:
    """A folder (it gets a SQLite file and one of artifacts), or any tracking URI of MLflow."""

    def __init__(self, address: str) -> None:
        logging.getLogger("mlflow").setLevel(logging.WARNING)
        logging.getLogger("alembic").setLevel(logging.WARNING)
        self._address, self._artifacts, uri = address, None, address
        if "://" not in address and address != "databricks":
            folder = Path(address).absolute()
            make_folder(folder)
            uri, self._artifacts = f"sqlite:///{folder / 'mlflow.db'}", (folder / "artifacts").as_uri()
        with reached(address):
            self._client = MlflowClient(tracking_uri=uri)
        self._experiments: dict[str, str] = {}

    def told(self, run: Run) -> str | None:
        """Return the digest of the run of this record; None for one that was cut off, too."""
        with reached(self._address):
            digests = [found.data.tags.get(DIGEST) for found in self._found(run)]
        return digests[0] if len(digests) == 1 else None

    def tell(self, run: Run) -> None:
        """Write the run; the tag that vouches for it comes last, then what was told of its record earlier goes."""
        with reached(self._address):
            earlier = [found.info.run_id for found in self._found(run)]
            tags = {
                SEAL: run.seal,
                "mlflow.source.name": "cavga-bench",
                "mlflow.source.git.commit": run.about["commit"],
            }
            start = int(run.started * 1000)
            name = run.name.partition("/")[2]
            new = self._client.create_run(self._experiment(run), start_time=start, tags=tags, run_name=name).info.run_id
            self._log(run, new)
            self._client.set_tag(new, DIGEST, run.digest)
            for run_id in earlier:
                self._client.delete_run(run_id)

    def _log(self, run: Run, run_id: str) -> None:
        settings = [Param(plain(key), str(value)) for key, value in run.settings.items()]
        tags = [RunTag(f"cavga.{plain(key)}", value) for key, value in run.about.items()]
        self._client.log_batch(run_id, params=settings, tags=tags)
        metrics = list(_metrics(run))
        for start in range(0, len(metrics), AT_ONCE):
            self._client.log_batch(run_id, metrics=metrics[start : start + AT_ONCE])
        with tempfile.TemporaryDirectory() as folder:
            Path(folder, "record.json").write_text(run.text)
            Path(folder, "overlays").mkdir()
            for name, png in run.images():
                Path(folder, "overlays", f"{name}.png").write_bytes(png)
            self._client.log_artifacts(run_id, folder)
        self._client.set_terminated(run_id, "FAILED" if run.failed else "FINISHED", end_time=int(run.ended * 1000))

    def _found(self, run: Run) -> list[Tracked]:
        return list(self._client.search_runs([self._experiment(run)], f"tags.`{SEAL}` = '{run.seal}'"))

    def _experiment(self, run: Run) -> str:
        """Return the id of the experiment of a run's protocol; one is made where there is none."""
        name = f"cavga/{run.settings['protocol']}"
        if name not in self._experiments:
            known = self._client.get_experiment_by_name(name)
            made = known.experiment_id if known else self._client.create_experiment(name, self._artifacts)
            self._experiments[name] = made
        return self._experiments[name]


def _metrics(run: Run) -> Iterator[Metric]:
    yield from (Metric(point.curve, point.value, int(point.time * 1000), point.step) for point in run.points)
    yield from (Metric(name, value, int(run.ended * 1000), 0) for name, value in run.measures.items())
