"""Speed and memory of CAVGA's training step, where its time goes, and how far it is from the bare networks.

    python benchmarks/training.py                                  # D and R, u and w, 256², batch 16
    python benchmarks/training.py --variants R_u --size 128 --rounds 5 --precision float32 --device cuda

real   the harness's own training step: batch, augmentation, both players, optimisers, bookkeeping (`Run.loop`).
plain  the same model and losses in a plain loop: float32, channels first, `backward()` into every parameter, the
       optimiser as torch builds it, the reconstruction computed again for the discriminator.
floor  forward and backward of the bare networks at the precision of `real`: encoder, heads and decoder once, the
       discriminator on x and on x̂. No losses, no attention, no optimiser, no data.

Every variant runs in a process of its own; the three take turns, `--rounds` times. A ratio is the median over the
rounds of one round's ratio, so that what slows a whole round down cancels. The parts are timed by themselves, so their
shares need not add up to 100 %; "harness" is a step of the same loop in which nothing is learnt: data, augmentation,
seeds, bookkeeping. Memory is the highest resident size (on CUDA: of allocated memory) of `real`. On a busy machine
`--clock cpu --threads 1` times the process instead of the wall.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from cavga.detector import Cavga
from harness.training.checkpoint import Checkpoint
from harness.training.detector import TrainingSet
from harness.training.device import choose_device, choose_precision
from harness.training.loop import Batch, Phase, Run
from harness.training.progress import Progress, Report
from harness.training.schedule import Augmentation, Training

VARIANTS = {
    f"{architecture}_{letter}": {"architecture": architecture, "supervision": supervision}
    for architecture in "DR"
    for letter, supervision in (("u", "none"), ("w", "weak"))
}
IMAGES = 64
Clock = Callable[[], float]


class Silent(Progress):
    """Stamps the time of each step."""

    def __init__(self, clock: Clock) -> None:
        super().__init__("harness")
        self.clock, self.stamps = clock, list[float]()

    @contextmanager
    def loop(self, name: str, total: int, start: int, batch_size: int) -> Iterator[Report]:
        def report(step: int, losses: Mapping[str, Tensor]) -> None:
            self.stamps.append(self.clock())

        yield report


class Case:
    """One variant, its training set and the three loops over it."""

    def __init__(self, variant: str, options: argparse.Namespace) -> None:
        self.device = choose_device(options.device)
        self.precision = choose_precision(options.precision, self.device)
        self.batch_size, self.size = options.batch, options.size
        self.kind = VARIANTS[variant]
        wall, synchronise = options.clock == "wall", self.device.type == "cuda"

        def clock() -> float:
            if synchronise:
                torch.cuda.synchronize()
            return time.perf_counter() if wall else time.process_time()

        self.clock: Clock = clock
        pixels = np.random.default_rng(0).integers(0, 256, (IMAGES, self.size, self.size, 3), np.uint8)
        self.train = TrainingSet(pixels[4:], np.zeros(IMAGES - 4, np.int64), pixels[:4], pixels[:0])
        self.run = self.make_run()
        self.detector = self.make_detector()
        self.run.prepare(self.detector)
        self.phases = self.detector.phases(self.run)
        self.batch = self.make_batch()

    def make_detector(self) -> Cavga:
        torch.manual_seed(0)
        return Cavga((3, self.size, self.size), **self.kind).to(self.device)

    def make_run(self, steps: int = 1) -> Run:
        plan = Training(
            batch_size=self.batch_size, images_seen=steps * self.batch_size,
            augmentation=Augmentation(rotation=15, centre_crop=(0.9, 1.0)),
        )  # fmt: skip
        checkpoint = Checkpoint(Path(tempfile.gettempdir()) / "never-written", math.inf)
        return Run(self.device, self.precision, 0, plan, checkpoint, Silent(self.clock))

    def make_batch(self) -> Batch:
        images, labels = self.detector.sample(self.train)
        return self.run._batch(images, labels, self.run.training, "train", 0, 1)

    def seconds(self, work: Callable[[], object]) -> float:
        began = self.clock()
        work()
        return self.clock() - began

    def real(self) -> float:
        """Return the seconds of one step inside the harness's loop."""
        return self.step_of(self.phases)

    def harness(self) -> float:
        """Return the seconds of one step of that loop in which nothing is learnt."""
        idle = torch.zeros((), device=self.device, requires_grad=True)
        return self.step_of([Phase(torch.optim.SGD([idle]), lambda batch: {"loss": idle + 0}) for _ in self.phases])

    def step_of(self, phases: list[Phase]) -> float:
        """Return the seconds of the last of two steps."""
        run = self.make_run(2)
        assert isinstance(run.progress, Silent)
        images, labels = self.detector.sample(self.train)
        run.loop(self.detector, images, phases, labels=labels)
        return run.progress.stamps[1] - run.progress.stamps[0]

    def plain(self) -> Callable[[], float]:
        """Return a function that does one plain step and gives its seconds."""
        detector, run = self.make_detector(), self.make_run()
        run.precision = "float32"
        detector.train()
        players = torch.optim.Adam(detector.model.players(), 1e-4, (0.5, 0.999))
        judge = torch.optim.Adam(detector.model.discriminator.parameters(), 1e-4, (0.5, 0.999))
        images, labels = detector.sample(self.train)

        def step() -> None:
            batch = run._batch(images, labels, run.training, "train", 0, 1)
            objective = detector.objective
            for optimizer, loss in ((players, objective.final_loss), (judge, objective.discriminator_loss)):
                batch.shared.clear()
                optimizer.zero_grad()
                loss(run, batch)["loss"].backward()
                optimizer.step()

        return lambda: self.seconds(step)

    def autoencoder(self, images: Tensor) -> Tensor:
        code = self.detector.model.encode(images)
        return self.detector.model.decode_logits(code.z)

    def forward_backward(self, forward: Callable[[], Tensor], parameters: list[Any]) -> float:
        def work() -> None:
            with self.run.autocast():
                out = forward()
            grads = torch.autograd.grad(out, parameters, torch.ones_like(out), allow_unused=True)
            del grads

        return self.seconds(work)

    def floor(self) -> float:
        model, images = self.detector.model, self.batch.images
        judge = list(model.discriminator.parameters())
        passes = [self.forward_backward(lambda: model.discriminator.logits(images), judge) for _ in range(2)]
        own = list(model.players())
        return sum(passes) + self.forward_backward(lambda: self.autoencoder(images), own)

    def parts(self) -> dict[str, float]:
        """Return the seconds of each part, forward and backward."""
        model, images = self.detector.model, self.batch.images
        parameters = {name: list(child.parameters()) for name, child in model.named_children()}
        with torch.no_grad(), self.run.autocast():
            z = model.encode(images).z
        encoder = self.forward_backward(lambda: model.latent(model.encoder(images))[0], parameters["encoder"])
        decoder = self.forward_backward(lambda: model.decode_logits(z), parameters["decoder"])
        judge = self.forward_backward(lambda: model.discriminator.logits(images), parameters["discriminator"])
        through = images.detach().requires_grad_()
        fool = self.forward_backward(lambda: model.discriminator.logits(through), [through])
        return {
            "encoder": encoder, "decoder": decoder, "discriminator": 2 * judge + fool, "attention": self.attention(),
            "optimiser": self.seconds(self.optimise), "harness": self.harness(),
        }  # fmt: skip

    def optimise(self) -> None:
        for phase in self.phases:
            phase.optimizer.step()

    def attention(self) -> float:
        """Return the seconds of the map and of its gradient's way back to the features and heads."""
        model = self.detector.model
        with torch.no_grad(), self.run.autocast():
            features = model.encoder(self.batch.images)

        def work() -> None:
            with self.run.autocast():
                code = model.code(features.detach().requires_grad_())
                attention = self.detector.attention
                if model.classifier is None:
                    raw = attention.raw_of_latent(code, model.latent.read_out, create_graph=True)
                else:
                    raw = attention.raw_of_score(model.classifier.logits(code.z)[:, 0], code, create_graph=True)
                maps = attention.normalise(raw)
            torch.autograd.grad(maps.sum(), [code.features, model.latent.mu.weight])

        return self.seconds(work) * (1 if model.classifier is None else 2)


def peak(device: torch.device, reset: bool = False) -> int:
    """Return the peak memory in bytes since the last reset: of this process, or allocated on the GPU."""
    if device.type == "cuda":
        if reset:
            torch.cuda.reset_peak_memory_stats()
        return torch.cuda.max_memory_allocated()
    if reset:
        Path("/proc/self/clear_refs").write_text("5")
    line = next(x for x in Path("/proc/self/status").read_text().splitlines() if x.startswith("VmHWM"))
    return int(line.split()[1]) * 1024


def measure(variant: str, options: argparse.Namespace) -> dict[str, Any]:
    torch.set_num_threads(options.threads)
    case = Case(variant, options)
    case.detector.train()
    peak(case.device, reset=True)
    case.real()
    memory = peak(case.device)
    plain = case.plain()
    contestants: dict[str, Callable[[], float]] = {"real": case.real, "plain": plain, "floor": case.floor}
    for work in (plain, case.floor, case.parts):
        work()  # the first time chooses kernels and reserves memory
    times: dict[str, list[float]] = {name: [] for name in contestants}
    shares: list[dict[str, float]] = []
    for _ in range(options.rounds):
        for name, work in contestants.items():
            times[name].append(work())
        shares.append(case.parts())
    middle = {name: statistics.median(values) for name, values in times.items()}
    return {
        "variant": variant, "precision": case.precision, "device": str(case.device), "memory": memory, **middle,
        "to_floor": paired(times["real"], times["floor"]), "from_plain": paired(times["plain"], times["real"]),
        "parts": {name: paired([s[name] for s in shares], times["real"]) for name in shares[0]},
    }  # fmt: skip


def paired(first: list[float], second: list[float]) -> float:
    return statistics.median(a / b for a, b in zip(first, second, strict=True))


def show(result: dict[str, Any], options: argparse.Namespace) -> None:
    real, plain, floor = (result[name] for name in ("real", "plain", "floor"))
    shares = "  ".join(f"{name} {share:.1%}" for name, share in result["parts"].items())
    print(
        f"CAVGA-{result['variant']}  {result['precision']} on {result['device']}: {options.batch / real:.2f} images/s, "
        f"plain float32 loop {options.batch / plain:.2f} ({result['from_plain']:.2f}x), "
        f"floor {options.batch / floor:.2f} (step is {result['to_floor']:.2f}x the floor), "
        f"peak {result['memory'] / 1e9:.2f} GB\n    {shares}",
        flush=True,
    )


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--variants", nargs="+", choices=VARIANTS, default=list(VARIANTS))
    parser.add_argument("--size", type=int, default=256, help="pixels of an image's side")
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--precision", default="auto", choices=["auto", "float32", "bfloat16"])
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--clock", default="wall", choices=["wall", "cpu"])
    parser.add_argument("--child", choices=VARIANTS, help=argparse.SUPPRESS)
    return parser.parse_args()


def main() -> None:
    options = arguments()
    if options.child:
        print(json.dumps(measure(options.child, options)))
        return
    print(f"{options.size}² pixels, batch {options.batch}, {options.threads} threads, {options.clock} clock")
    for variant in options.variants:
        command = [sys.executable, __file__, *sys.argv[1:], "--child", variant]
        out = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout
        show(json.loads(out.splitlines()[-1]), options)


if __name__ == "__main__":
    main()
