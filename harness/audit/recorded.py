"""Audits of recorded answers: `recorded:viescore`, `recorded:viescore/JUDGE`, `recorded:geneval`."""

from __future__ import annotations

from pathlib import Path

from harness.audit import geneval, viescore
from harness.audit.table import Audit, Section
from harness.errors import ConfigError, unknown_name
from harness.images import sha256

PREFIX = "recorded:"
KNOWN = ("viescore", "geneval")


def is_recorded(spec: str) -> bool:
    """Whether a judge's spelling means answers on file."""
    return spec.startswith(PREFIX) or spec == PREFIX.rstrip(":")


def run_recorded(spec: str, source: Path | None, verdicts: Path | None = None) -> Audit:
    """Recorded answers against people.

    Args:
        spec: see the module's text.
        source: folder with the published files.
        verdicts: for `geneval`, a judge's `results.jsonl` about the annotated images.

    Raises:
        ConfigError: unknown recording, or no source.
        DataError: files are missing or damaged.
    """
    name, _, only = spec.removeprefix(PREFIX).partition("/")
    if name not in KNOWN:
        raise unknown_name("recording", name, KNOWN)
    if source is None:
        raise ConfigError(
            f"{spec}: --source DIR is missing: the folder with the published files "
            f"({'recorded_answers.tar.gz, human_ratings.tar.gz' if name == 'viescore' else 'annotations_*.csv.gz'})."
        )
    sections: dict[str, Section] = {}
    if name == "viescore":
        sections["recorded answers"] = viescore.measure(source, only)
        files = [source / viescore.ANSWERS, source / viescore.RATINGS]
    else:
        if only:
            raise ConfigError(f"{spec}: recorded:geneval has no judges; give --verdicts results.jsonl for one.")
        rated = geneval.read(source)
        sections["people"] = geneval.measure_people(rated)
        files = sorted(source.glob("annotations_*.csv*"))
        sections["verdicts"] = (
            Section(skipped="the release holds no judge; pass --verdicts results.jsonl about the annotated images")
            if verdicts is None
            else geneval.measure_judge(rated, verdicts)
        )
    if verdicts is not None and name == "viescore":
        raise ConfigError("--verdicts: only with recorded:geneval.")
    digest = sha256("".join(sha256(f.read_bytes()) for f in files).encode())[:12]
    return Audit(judge=spec, fingerprint=f"{spec}-{digest}", settings={"source": source.name}, sections=sections)
