"""How many requests are under way: bounded, cut in half when the server is overloaded, grown slowly afterwards."""

from __future__ import annotations

import asyncio
import heapq
import itertools


class Limiter:
    """A semaphore with priorities whose size follows the server (additive increase, multiplicative decrease).

    Args:
        most: upper limit, where it starts.

    All methods belong to one event loop.
    """

    def __init__(self, most: int) -> None:
        self.most = most
        self.limit = float(most)
        self.lowest = float(most)
        """The smallest limit so far."""
        self._n_out = 0
        self._order = itertools.count()
        self._waiting: list[tuple[int, int, asyncio.Future[None]]] = []
        self._last_cut = -1
        self._resume_at = 0.0

    async def acquire(self, priority: int = 0) -> int:
        """Waits for a place; smaller priorities first, then first come. Returns a ticket for the other methods."""
        place: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._waiting, (priority, next(self._order), place))
        self._admit()
        try:
            await place
        except asyncio.CancelledError:
            if place.done() and not place.cancelled():
                self.release()
            raise
        return next(self._order)

    def release(self) -> None:
        """Gives the place back."""
        self._n_out -= 1
        # Two turns of the loop later: what the finished request leads to (the other questions about its image) has
        # queued by then, and goes before requests of later groups.
        loop = asyncio.get_running_loop()
        loop.call_soon(loop.call_soon, self._admit)

    def succeeded(self) -> None:
        """A request went through, and gave its place back: one more place per round of all places."""
        self.limit = min(float(self.most), self.limit + 1.0 / self.limit)

    def overloaded(self, ticket: int) -> None:
        """Halves the limit; requests that were sent before the last cut say nothing new and change nothing."""
        if ticket < self._last_cut:
            return
        self._last_cut = next(self._order)
        self.limit = max(1.0, self.limit / 2)
        self.lowest = min(self.lowest, self.limit)

    def pause(self, seconds: float) -> None:
        """Lets nothing start for that long, because the server said so."""
        loop = asyncio.get_running_loop()
        self._resume_at = max(self._resume_at, loop.time() + seconds)
        loop.call_at(self._resume_at, self._admit)

    def _admit(self) -> None:
        loop = asyncio.get_running_loop()
        while self._waiting and self._n_out < int(self.limit) and loop.time() >= self._resume_at:
            _, _, place = heapq.heappop(self._waiting)
            if not place.done():
                self._n_out += 1
                place.set_result(None)
