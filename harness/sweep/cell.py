"""Runs one cell: its commands in order, in processes of their own, each resuming what an earlier start left."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Literal

from harness.errors import HarnessError
from harness.sweep.cells import Cell, Step, is_finished, record_settings

State = Literal["done", "failed", "busy", "stopped"]
LOG = "log.txt"
_GRACE_S = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How a cell ended."""

    label: str
    state: State
    seconds: float
    message: str = ""
    """Why it is not done: the last lines of the log."""


class Stop:
    """Asks running cells to end; their commands get a termination request and leave resumable directories."""

    def __init__(self) -> None:
        self._event = threading.Event()
        self._lock = threading.Lock()
        self._running: set[subprocess.Popen[bytes]] = set()

    @property
    def requested(self) -> bool:
        """Whether `set` was called."""
        return self._event.is_set()

    def set(self) -> None:
        """Ends everything that runs, and lets nothing start."""
        self._event.set()
        with self._lock:
            for process in self._running:
                process.terminate()

    def wait(self, process: subprocess.Popen[bytes]) -> int:
        """The exit code of a command, which `set` may end early."""
        with self._lock:
            self._running.add(process)
            if self.requested:
                process.terminate()
        try:
            while process.poll() is None:
                try:
                    return process.wait(timeout=_GRACE_S)
                except subprocess.TimeoutExpired:
                    if self.requested:
                        process.kill()
            return process.returncode
        finally:
            with self._lock:
                self._running.discard(process)


def run_cell(cell: Cell, *, threads: int, stop: Stop) -> Outcome:
    """Runs what is unfinished. A failure is an outcome: other cells go on.

    Args:
        cell: its folder is created; a lock in it keeps a second sweep out.
        threads: CPU threads of each command.
        stop: ends it early.
    """
    started = time.monotonic()

    def ended(state: State, message: str = "") -> Outcome:
        return Outcome(label=cell.label, state=state, seconds=time.monotonic() - started, message=message)

    try:
        with _only_one(cell.folder) as mine:
            if not mine:
                return ended("busy", f"another process works in {cell.folder}")
            for step in cell.steps:
                if stop.requested:
                    return ended("stopped")
                if is_finished(cell, step):
                    continue
                code = _run_step(cell, step, threads, stop)
                if stop.requested:
                    return ended("stopped")
                if code != 0:
                    return ended("failed", f"{step.name} ended with exit code {code}: {last_words(cell.folder / LOG)}")
    except (HarnessError, OSError) as error:
        return ended("failed", str(error))
    return ended("done")


def _run_step(cell: Cell, step: Step, threads: int, stop: Stop) -> int:
    config = record_settings(cell, step)
    command = [sys.executable, "-m", "harness.cli", *arguments(cell, step, config)]
    environment = os.environ | {"OMP_NUM_THREADS": str(threads)}
    with (cell.folder / LOG).open("ab") as log:
        log.write(f"\n$ run.py {' '.join(arguments(cell, step, config))}\n".encode())
        log.flush()
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, env=environment,
            start_new_session=True,  # Ctrl-C goes to the sweep, which asks its commands to stop
        )  # fmt: skip
        return stop.wait(process)


def arguments(cell: Cell, step: Step, config: Path) -> list[str]:
    """The step's command line after `run.py`; a user can repeat it by hand."""
    out = str(cell.folder / step.name)
    if step.name == "train":
        return ["train", str(config), "-o", out]
    if step.images_of:
        return ["eval", f"stored:{cell.folder / step.images_of}", "-c", str(config), "-o", out]
    return ["eval", step.model or str(cell.folder / "train"), "-c", str(config), "-o", out]


def last_words(log: Path, n_lines: int = 4) -> str:
    """The end of a log, on one line."""
    try:
        lines = [x.strip() for x in log.read_text(errors="replace").splitlines() if x.strip()]
    except OSError:
        return "no log"
    return " / ".join(lines[-n_lines:])


@contextmanager
def _only_one(folder: Path) -> Iterator[bool]:
    folder.mkdir(parents=True, exist_ok=True)
    file: IO[str]
    with (folder / ".lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            yield False
            return
        yield True
