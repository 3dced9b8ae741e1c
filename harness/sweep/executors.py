"""Many cells at a time: processes of this machine, or a Ray cluster that shares its file system."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from typing import Any

from harness.errors import ConfigError
from harness.sweep.cell import Outcome, Stop, run_cell
from harness.sweep.cells import Cell

Executor = Callable[[Sequence[Cell], int], Iterator[Outcome]]


def local(cells: Sequence[Cell], jobs: int) -> Iterator[Outcome]:
    """Outcomes as they come, `jobs` cells at a time; each command gets its share of the cores.

    An exception in the consumer (Ctrl-C) ends the running commands, which leave resumable directories.
    """
    stop, threads = Stop(), max(1, (os.cpu_count() or 1) // max(1, jobs))
    with ThreadPoolExecutor(max_workers=max(1, jobs), thread_name_prefix="cell") as pool:
        futures = [pool.submit(run_cell, cell, threads=threads, stop=stop) for cell in cells]
        try:
            for future in as_completed(futures):
                yield future.result()
        except BaseException:
            stop.set()
            for future in futures:
                future.cancel()
            raise


def on_ray(cells: Sequence[Cell], jobs: int) -> Iterator[Outcome]:
    """The same on Ray: the cluster that RAY_ADDRESS names, else one started here on the loopback interface.

    Each cell asks for one CPU; `jobs` bounds how many run at once. Workers must see the same files.

    Raises:
        ConfigError: Ray is not installed.
    """
    try:
        import ray
    except ImportError:
        raise ConfigError("--executor ray needs Ray: pip install -c constraints.txt -e '.[ray]'.") from None

    started_here = not ray.is_initialized()
    if started_here:
        ray.init(**_ray_options(jobs))
    task = ray.remote(num_cpus=1, max_retries=0)(_remote_cell)
    waiting = list(cells)
    running: dict[Any, Cell] = {}
    try:
        while waiting or running:
            while waiting and len(running) < jobs:
                cell = waiting.pop(0)
                running[task.options(name=cell.label).remote(cell)] = cell
            finished, _ = ray.wait(list(running), num_returns=1)
            for reference in finished:
                cell = running.pop(reference)
                try:
                    yield ray.get(reference)
                except ray.exceptions.RayError as error:  # a lost worker is this cell's failure, not the sweep's
                    yield Outcome(label=cell.label, state="failed", seconds=0.0, message=f"Ray: {error}")
    finally:
        for reference in running:
            ray.cancel(reference)  # interrupts the worker, which ends its command
        if started_here:
            ray.shutdown()


def _ray_options(jobs: int) -> dict[str, Any]:
    if os.environ.get("RAY_ADDRESS"):
        return {"address": os.environ["RAY_ADDRESS"], "log_to_driver": False}
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    return {
        "num_cpus": jobs,
        "include_dashboard": False,
        "object_store_memory": 200 * 2**20,
        "_node_ip_address": "127.0.0.1",
        "log_to_driver": False,
    }


def _remote_cell(cell: Cell) -> Outcome:
    stop = Stop()
    try:
        return run_cell(cell, threads=1, stop=stop)
    except BaseException:
        stop.set()
        raise


EXECUTORS: dict[str, Executor] = {"local": local, "ray": on_ray}
