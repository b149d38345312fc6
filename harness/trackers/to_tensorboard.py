"""Runs as TensorBoard's event files: a folder a run, in it one file that appears whole or not at all. Without torch."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.compat.proto.tensor_pb2 import TensorProto
from tensorboard.plugins.hparams import metadata as hparams
from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData, SessionEndInfo
from tensorboard.plugins.hparams.summary_v2 import hparams_pb
from tensorboard.plugins.text.metadata import create_summary_metadata
from tensorboard.summary.writer.record_writer import RecordWriter

from harness.data.atomic import atomic_file
from harness.errors import UserError
from harness.records.overlays import SIDE
from harness.trackers.run import Run

PREFIX = "events.out.tfevents."
"""TensorBoard reads files of such names."""
SUCCESS, FAILURE = 1, 2
"""TensorBoard's hparams.Status."""


class TensorBoard:
    """A log folder. A file's name ends in the digest of the run in it."""

    def __init__(self, address: str) -> None:
        if "://" in address:
            raise UserError(f"{address}: TensorBoard's files are written to a folder; name one")
        self._folder = Path(address)

    def told(self, run: Run) -> str | None:
        """Return the digest of what is there of this record."""
        found = self._files(run)
        return found[-1].name.rpartition(".")[2] if found else None

    def tell(self, run: Run) -> None:
        """Write the run's file, and no other one of this record stays."""
        for path in self._files(run):
            path.unlink()
        with atomic_file(self._folder / run.name / f"{PREFIX}{int(run.ended)}.cavga.{run.digest}") as temporary:
            writer = RecordWriter(temporary.open("wb"))
            try:
                for event in _events(run):
                    writer.write(event.SerializeToString())
            finally:
                writer.close()

    def _files(self, run: Run) -> list[Path]:
        return sorted((self._folder / run.name).glob(f"{PREFIX}*.cavga.*"))


def _events(run: Run) -> Iterator[Event]:
    def event(summary: Summary, step: int = 0, time: float = run.ended) -> Event:
        return Event(wall_time=time, step=step, summary=summary)

    yield Event(wall_time=run.started, file_version="brain.Event:2")
    yield event(hparams_pb(dict(run.settings), trial_id=run.name, start_time_secs=run.started))
    for point in run.points:
        yield event(_scalar(point.curve, point.value), point.step, point.time)
    for name, value in run.measures.items():
        yield event(_scalar(name, value))
    for name, png in run.images():
        image = Summary.Image(encoded_image_string=png, height=SIDE, width=SIDE, colorspace=3)
        yield event(Summary(value=[Summary.Value(tag=f"overlays/{name}", image=image)]))
    yield event(_text("about", run.about))
    yield event(_text("settings", run.settings))
    yield event(_end(run))


def _end(run: Run) -> Summary:
    end = SessionEndInfo(status=FAILURE if run.failed else SUCCESS, end_time_secs=run.ended)
    metadata = hparams.create_summary_metadata(HParamsPluginData(session_end_info=end))
    value = Summary.Value(tag=hparams.SESSION_END_INFO_TAG, metadata=metadata, tensor=hparams.NULL_TENSOR)
    return Summary(value=[value])


def _scalar(name: str, value: float) -> Summary:
    return Summary(value=[Summary.Value(tag=name, simple_value=value)])


def _text(name: str, content: Any) -> Summary:
    lines = ["| | |", "|---|---|", *(f"| {key} | {_cell(value)} |" for key, value in content.items())]
    tensor = TensorProto(dtype="DT_STRING", string_val=["\n".join(lines).encode()])
    metadata = create_summary_metadata(name, "")
    return Summary(value=[Summary.Value(tag=name, tensor=tensor, metadata=metadata)])


def _cell(value: Any) -> str:
    return (value if isinstance(value, str) else json.dumps(value)).replace("|", "\\|").replace("\n", " ")
