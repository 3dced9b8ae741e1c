"""What may follow the judges' names: `PATH,option=value,...`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

from harness.config import apply_settings, build
from harness.errors import ConfigError
from harness.judges.detector.colours import ClipPrecision
from harness.judges.detector.detection import Tf32

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class CommonOptions:
    """Options of both judges."""

    weights: str | None = None
    """The detector's file or folder; stands first, without its name."""
    clip: str = "openai/clip-vit-large-patch14"
    """Folder or hub name of the colour classifier; `none`: prompts with colours stay unjudged."""
    device: str = "auto"
    """`auto` (a GPU where there is one), `cpu`, `cuda`, `cuda:1`."""
    tf32: Tf32 = "off"
    """`convolutions`: let a GPU round in convolutions, as PyTorch did by default when the scores were published."""
    clip_precision: ClipPrecision = "float32"
    """`autocast`: the classifier in half precision on a GPU, as upstream runs it."""
    selftest: str | None = None
    """A photograph with an object of the 80 classes: refuse to judge unless it is found with a score above 0.9."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OfficialOptions(CommonOptions):
    """Options of `geneval-official`."""

    allow_pickle: bool = False
    """Open a `.pth` file, which is a pickle; needed once per file."""
    allow_unknown_hash: bool = False
    """Run another checkpoint of the same kind, or another CLIP size; the judge's fingerprint says so."""
    cache: str = "~/.cache/ummbench/geneval-detector"
    """Folder of converted checkpoints."""


def parse(argument: str, options: type[T], judge: str) -> T:
    """The options that `PATH,a=b,...` spells; the path may be left out. Values are read as YAML.

    Raises:
        ConfigError: an unknown option, a value of a wrong type, or a second part without `=`.
    """
    parts = [p.strip() for p in argument.split(",") if p.strip()]
    plain = [p for p in parts if "=" not in p]
    if len(plain) > 1 or (plain and parts[0] != plain[0]):
        raise ConfigError(
            f"judge {judge}:{argument}: {plain[-1]!r} is neither the first part (a path, without commas) nor "
            f"OPTION=VALUE. Expected {judge}:PATH,option=value,..."
        )
    settings = apply_settings({"weights": plain[0]} if plain else {}, [p for p in parts if "=" in p])
    return build(options, settings, where=f"judge {judge}:{argument}")
