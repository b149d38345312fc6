"""What the soak test does to a build, one function per kind of trouble. Each returns one line on what it did."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

from tests.small import Small, alive, descendants, kill, snakemake, words

FULL_MEGABYTES = 64


def killed(small: Small, random: random.Random, seconds: float) -> str:
    """Kill Snakemake or one of the processes below it with -9, up to three times, starting again at once."""
    story = []
    for _ in range(random.randint(1, 3)):
        build = small.start(cores=random.choice([1, 2]), make=True)
        wait = random.uniform(0.1, 0.8) * seconds
        if not _runs(build, wait):
            story.append(f"ended with {build.returncode} before the kill")
            continue
        tool = snakemake(build.pid)
        below = [process for process in descendants(tool) if alive(process)]
        victim = tool if not below or random.random() < 0.5 else random.choice(below)
        name = "snakemake" if victim == tool else words(victim)[-60:].strip() or "a job"
        kill(victim)
        story.append(f"killed {name} after {wait:.0f} s")
        if victim == tool:
            build.wait()  # what it started may still be ending
        else:
            build.communicate()
            story.append(f"build ended with {build.returncode}")
    return ", ".join(story)


def asked_to_end(small: Small, random: random.Random, seconds: float) -> str:
    """Send SIGTERM or SIGINT to Snakemake or to all of its session, as a scheduler or a person does."""
    build = small.start(cores=random.choice([1, 2]), make=True)
    wait = random.uniform(0.1, 0.8) * seconds
    if not _runs(build, wait):
        return "ended before the signal"
    number, everyone = random.choice([signal.SIGTERM, signal.SIGINT]), random.random() < 0.7
    os.killpg(build.pid, number) if everyone else kill(snakemake(build.pid), number)
    build.communicate()
    return (
        f"{number.name} to {'all' if everyone else 'snakemake'} after {wait:.0f} s, build ended with {build.returncode}"
    )


def full(small: Small, random: random.Random, seconds: float) -> str:
    """Build on a tmpfs of 64 MB of which little is left; then give it room and put everything back."""
    whole = random.random() < 0.5
    folder = small.place if whole else small.place / "work"
    folder.mkdir(exist_ok=True)
    aside = small.place.parent / "aside"
    shutil.copytree(folder, aside, symlinks=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={FULL_MEGABYTES}m", "tmpfs", str(folder)], check=True)
    try:
        shutil.copytree(aside, folder, dirs_exist_ok=True, symlinks=True)
        left = int(random.choice([0, 4, 64, 512, 2048, 8192]) * 1024 * random.uniform(0.5, 1.5))
        filler = folder / "filler"
        _fill(filler, left)
        status, output = small.build(make=True)
        filler.unlink()
        subprocess.run(["mount", "-o", "remount,size=2g", str(folder)], check=True)
        again, _ = small.build(make=True)
        shutil.rmtree(aside)
        shutil.copytree(folder, aside, symlinks=True)
    finally:
        subprocess.run(["umount", str(folder)], check=True)
    shutil.copytree(aside, folder, dirs_exist_ok=True, symlinks=True)
    shutil.rmtree(aside)
    what = "everything" if whole else "work/"
    said = "said so" if "full" in output or "No space" in output or "not enough disk" in output else "kept silent"
    return f"{what} on a tmpfs with {left} bytes left ended with {status} ({said}), with room with {again}"


def removed(small: Small, random: random.Random, seconds: float) -> str:
    """Remove between one and three files that builds read."""
    found = [path for path in (small.place / "work").rglob("*") if path.is_file() and "logs" not in path.parts]
    found += list((small.place / "results").rglob("*.*"))
    chosen = random.sample(sorted(found), min(len(found), random.randint(1, 3)))
    for path in chosen:
        path.unlink()
    return "removed " + ", ".join(str(path.relative_to(small.place)) for path in chosen)


def clock(small: Small, random: random.Random, seconds: float) -> str:
    """Date files as if they had come from elsewhere: a day, or more than a year ago."""
    found = [path for path in small.place.rglob("*") if path.is_file() and path.name != "build.lock"]
    chosen = random.sample(sorted(found), max(1, len(found) // random.randint(2, 6)))
    days = {path: random.choice([-400, -1]) for path in chosen}
    for path, shift in days.items():
        subprocess.run(["touch", "-d", f"@{time.time() + shift * 86400:.0f}", str(path)], check=True)
    return f"dated {len(days)} of {len(found)} files in the past"


def two(small: Small, random: random.Random, seconds: float) -> str:
    """Start two builds a moment apart; now and then kill the first."""
    first = small.start(make=True)
    time.sleep(random.uniform(0, 4))
    second = small.start(make=True)
    murdered = random.random() < 0.3
    if murdered and _runs(first, random.uniform(0, 0.5) * seconds):
        kill(snakemake(first.pid))
    texts = [build.communicate()[0] for build in (first, second)]
    waited = sum("another build is at work" in text for text in texts)
    if second.returncode != 0 or (first.returncode != 0 and not murdered):
        print("\n".join(texts)[-4000:], file=sys.stderr)
        raise AssertionError(f"two builds at once ended with {first.returncode} and {second.returncode}")
    killed_first = "; the first was killed" if murdered else ""
    return f"two builds ended with {first.returncode} and {second.returncode}, {waited} waited{killed_first}"


KINDS = {"kill": killed, "signal": asked_to_end, "full": full, "removed": removed, "clock": clock, "two": two}


def _runs(build: subprocess.Popen[str], seconds: float) -> bool:
    """Wait and tell whether the build still runs."""
    try:
        build.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        return True
    return False


def _fill(path: Path, left: int) -> None:
    """Write a file until `left` bytes are free."""
    with path.open("wb") as file:
        while (free := shutil.disk_usage(path.parent).free) > left:
            file.write(b"\0" * min(1 << 20, free - left))
            file.flush()
