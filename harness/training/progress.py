"""Progress of long stages: a bar on a terminal, plain lines in a log, JSON lines for curves and `watch`."""

from __future__ import annotations

import json
import math
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tqdm import tqdm

from harness.errors import FitError

if TYPE_CHECKING:
    from torch import Tensor  # seconds to import, and preparing data does without it

Report = Callable[[int, "Mapping[str, Tensor]"], None]


class Progress:
    """Reports one stage. `path` receives one JSON object per report; None keeps no file."""

    def __init__(self, title: str, path: Path | None = None, seconds: float = 10.0) -> None:
        self.title, self.path, self.seconds = title, path, seconds
        self.terminal = sys.stderr.isatty()

    def validation(self, step: int, error: float) -> None:
        """Report the error on held-out images once `step` steps are done."""
        self._line({"validation_step": step, "validation_error": error})
        if not self.terminal:
            print(f"{self.title} held-out images after step {step}: error {error:.4g}", file=sys.stderr)

    def note(self, text: str) -> None:
        """Print one line that a reader of the log should see."""
        tqdm.write(f"{self.title}: {text}", file=sys.stderr)

    @contextmanager
    def loop(self, name: str, total: int, start: int, batch_size: int) -> Iterator[Report]:
        """Report a training loop; the yielded function takes the step and its losses.

        Reading a loss waits for the device, so this happens on the first and last step and every few seconds.
        Raises FitError when a loss that was read is not finite.
        """
        began = last = time.monotonic()
        if start:
            self.note(f"{name} goes on at step {start} of {total}")
        with (
            tqdm(total=total, initial=start, desc=f"{self.title} {name}", disable=not self.terminal) as bar,
            tensorboard(self.path, name, start) as board,
        ):

            def report(step: int, losses: Mapping[str, Tensor]) -> None:
                nonlocal last
                bar.update()
                now = time.monotonic()
                if step + 1 < total and step > start and now - last < (1.0 if self.terminal else self.seconds):
                    return
                last = now
                values = {key: float(value) for key, value in losses.items()}
                rate = (step + 1 - start) * batch_size / max(now - began, 1e-9)
                left = {"seconds_left": round((total - step - 1) * batch_size / rate, 1), "device": device_of(losses)}
                self._write(name, step, total, values, rate, left)
                if board is not None:
                    for key, value in (values | {"images_per_s": rate}).items():
                        board.add_scalar(key, value, step + 1)
                bar.set_postfix({key: f"{value:.3g}" for key, value in values.items()})
                if not all(map(math.isfinite, values.values())):
                    raise FitError(f"loss is not finite at step {step} of {name}: {values}")

            yield report

    def _write(
        self, name: str, step: int, total: int, values: Mapping[str, float], rate: float, left: Mapping[str, Any]
    ) -> None:
        now = {"time": round(time.time(), 3), **left}
        self._line({"loop": name, "step": step + 1, "of": total, "images_per_s": round(rate, 2), **now, **values})
        if not self.terminal:
            losses = "  ".join(f"{key} {value:.4g}" for key, value in values.items())
            print(f"{self.title} {name} {step + 1}/{total}  {rate:.1f} images/s  {losses}", file=sys.stderr)

    def _line(self, content: Mapping[str, Any]) -> None:
        if self.path is None:
            return
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("a") as file:
            file.write(json.dumps(content) + "\n")

    @contextmanager
    def steps(self, name: str, total: int | None = None) -> Iterator[Callable[[int], None]]:
        """Report work that has no losses; the yielded function takes how many items were done."""
        began = last = time.monotonic()
        done = 0
        with tqdm(total=total, desc=f"{self.title} {name}", disable=not self.terminal) as bar:

            def advance(items: int) -> None:
                nonlocal done, last
                done += items
                bar.update(items)
                if not self.terminal and time.monotonic() - last > self.seconds:
                    last = time.monotonic()
                    print(f"{self.title} {name} {done}/{total or '?'}", file=sys.stderr)

            yield advance
        if not self.terminal:
            print(f"{self.title} {name}: {done} in {time.monotonic() - began:.1f} s", file=sys.stderr)


def device_of(losses: Mapping[str, Tensor]) -> str:
    """Return the device that losses lie on, "cpu" or "cuda", a GPU with the number that the machine knows it by."""
    kind = next((value.device.type for value in losses.values()), "cpu")
    return kind if kind == "cpu" else f"{kind} {os.environ.get('CUDA_VISIBLE_DEVICES', '')}".strip()


@contextmanager
def tensorboard(log: Path | None, name: str, start: int) -> Iterator[Any]:
    """Yield a writer of the same numbers for TensorBoard, one run a loop beside the log; None if it is not installed.

    A loop that goes on at step `start` drops what an earlier attempt wrote from there on.
    """
    kind = _writer_class() if log is not None else None
    if log is None or kind is None:
        yield None
        return
    writer = kind(str(log.parent / "tensorboard" / name), purge_step=start + 1 if start else None)
    try:
        yield writer
    finally:
        writer.close()


def _writer_class() -> Any:
    # A function of its own: a yield inside `except` would put this import's error behind every error of the training.
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        return None
    return SummaryWriter
