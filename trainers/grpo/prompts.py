"""Training prompts: which prompt stands at which place of the endless list that a run works through."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from harness import seeds
from harness.errors import ConfigError, DataError
from harness.types import Prompt


class PromptSource(Protocol):
    """An endless, seeded list of prompts."""

    def at(self, index: int) -> Prompt:
        """The prompt at a place (from 0); depends on the source's settings and the index alone."""

    @property
    def id(self) -> str:
        """What the prompts are, for the manifest."""


class MicroPrompts:
    """Prompts of the micro world's training split, drawn without end.

    Args:
        seed: of the run.
        options: `kinds` and `styles` of `harness.decompose.micro.draw`, and `damage`: shares of the semantic questions
            that are lost, repeated or wrong, e.g. `{drop: 0.1}` (see `harness.decompose.perturb`).

    Raises:
        ConfigError: another option, or a damage that does not exist.
    """

    def __init__(self, seed: int, options: Mapping[str, Any]) -> None:
        unknown = sorted(set(options) - {"kinds", "styles", "damage"})
        if unknown:
            raise ConfigError(
                f"prompt_options: unknown key {unknown[0]!r}. Allowed for micro prompts: kinds, styles, damage."
            )
        self._options = dict(options)
        self._seed = seeds.derive("train-prompts", seed)
        self._drawing = {k: v for k, v in options.items() if k != "damage"}
        self._damage: dict[str, float] = dict(options.get("damage") or {})
        self.at(0)  # a wrong option is told before the first step

    def at(self, index: int) -> Prompt:
        """See `PromptSource`."""
        from harness.decompose.micro import draw
        from harness.decompose.perturb import damage_questions

        prompt = draw(self._seed, index, split="train", **self._drawing).prompt
        for damage, share in self._damage.items():
            prompt = damage_questions(prompt, damage, share)
        return prompt

    @property
    def id(self) -> str:
        """World version and options."""
        from harness.world.version import world_version

        return f"micro@{world_version()}{self._options or ''}"


class FilePrompts:
    """Records of a JSONL file with `prompt` and, for DVReward, the two lists of questions, in a seeded order.

    Every pass over the file has an order of its own.

    Raises:
        DataError: the file cannot be read, is empty, or a line is damaged (file, line, field).
    """

    def __init__(self, path: Path, seed: int) -> None:
        self._seed = seed
        self._prompts: list[Prompt] = []
        try:
            lines = path.read_text(encoding="utf-8").splitlines()
        except OSError as error:
            raise DataError(f"prompts: {path} cannot be read ({error.strerror}).") from None
        for number, line in enumerate(lines, 1):
            if line.strip():
                self._prompts.append(_prompt(path, number, line))
        if not self._prompts:
            raise DataError(f"prompts: {path} holds no records.")
        digest = hashlib.sha256("\n".join(lines).encode()).hexdigest()
        self._id = f"{path.name}@{digest[:12]}"

    def at(self, index: int) -> Prompt:
        """See `PromptSource`."""
        epoch, place = divmod(index, len(self._prompts))
        order = seeds.numpy_generator(seeds.derive("prompt-order", self._seed), "epoch", epoch).permutation(
            len(self._prompts)
        )
        return self._prompts[int(order[place])]

    @property
    def id(self) -> str:
        """File name and hash."""
        return self._id


def _prompt(path: Path, number: int, line: str) -> Prompt:
    try:
        record = json.loads(line)
    except ValueError as error:
        raise DataError(f"{path}, line {number}: not JSON ({error}).") from None
    if not isinstance(record, dict) or not isinstance(record.get("prompt"), str) or not record["prompt"].strip():
        raise DataError(f"{path}, line {number}: field 'prompt' is missing or not a text.")
    meta = {k: v for k, v in record.items() if k not in ("prompt", "id")}
    return Prompt(id=str(record.get("id") or f"{path.stem}/{number:06d}"), text=record["prompt"], meta=meta)


def make_source(name: str, seed: int, options: Mapping[str, Any]) -> PromptSource:
    """The source `micro`, or a JSONL file.

    Raises:
        ConfigError: neither, or options that the source does not have.
    """
    if name == "micro":
        return MicroPrompts(seed, options)
    if not name.endswith(".jsonl"):
        raise ConfigError(f"prompts: {name!r} is neither 'micro' nor a .jsonl file.")
    if options:
        raise ConfigError(f"prompt_options: a file has no options; got {', '.join(sorted(options))}.")
    return FilePrompts(Path(name), seed)
