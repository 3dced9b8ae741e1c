"""Random choices that stay the same on every machine and with every version of numpy and Python."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

from harness import seeds

T = TypeVar("T")

_BLOCK = 256


class NoMatch(Exception):  # noqa: N818 -- a draw that leads nowhere is ordinary: the caller draws again
    """Nothing fits the request, e.g. no object of the place has the wanted attribute."""


class Draw:
    """A stream of choices.

    Only the raw 64-bit words of the generator are used: numpy guarantees those for ever, its distributions not.

    Args:
        seed: run seed.
        purpose: names the stream; streams of different names are independent.
    """

    def __init__(self, seed: int, purpose: str) -> None:
        self._bits = seeds.numpy_generator(seed, purpose).bit_generator
        self._block: list[int] = []

    def below(self, n: int) -> int:
        """An integer from 0 to n - 1 (53 bits of the word are used, so the bias is below n / 2**53)."""
        if not self._block:
            self._block = self._bits.random_raw(_BLOCK).tolist()
        return (self._block.pop() >> 11) * n >> 53

    def chance(self, percent: int) -> bool:
        """True in `percent` of a hundred."""
        return self.below(100) < percent

    def choice(self, items: Sequence[T]) -> T:
        """One item.

        Raises:
            NoMatch: there is none.
        """
        if not items:
            raise NoMatch
        return items[self.below(len(items))]

    def weighted(self, weights: Mapping[T, int]) -> T:
        """One key, by integer weight."""
        left = self.below(sum(weights.values()))
        for key, weight in weights.items():
            left -= weight
            if left < 0:
                return key
        raise NoMatch

    def sample(self, items: Sequence[T], k: int) -> list[T]:
        """`k` different items, in drawn order.

        Raises:
            NoMatch: there are fewer.
        """
        if k > len(items):
            raise NoMatch
        left = list(items)
        return [left.pop(self.below(len(left))) for _ in range(k)]

    def first(self, items: Sequence[T], fits: Callable[[T], bool], tries: int = 12) -> T:
        """A drawn item that fits: a few quick draws, then a choice among all that fit.

        Raises:
            NoMatch: none fits.
        """
        for _ in range(tries if items else 0):
            item = self.choice(items)
            if fits(item):
                return item
        return self.choice([item for item in items if fits(item)])
