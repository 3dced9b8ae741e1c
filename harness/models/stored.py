"""The policy `stored:RUN`: the images of another run directory, for a second judge.

It carries the fingerprint of the policy that made them, so results stay attributed to that model.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from harness.errors import PolicyError
from harness.models.base import GenerationParams, Output, Policy, Request
from harness.registry import MODELS
from harness.store import RunDirectory


def run_manifest(run: Path) -> dict[str, Any]:
    """manifest.json of a run directory.

    Raises:
        PolicyError: no run directory, or a damaged manifest.
    """
    path = run / "manifest.json"
    try:
        data = json.loads(path.read_bytes())
        return data if isinstance(data["identity"], dict) and isinstance(data["config"], dict) else {}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise PolicyError(f"{path}: not the manifest of a run directory ({error}).") from None


class StoredRun(Policy):
    """Finds a sample by its prompt and seed.

    Args:
        path: the run directory.
    """

    name = "stored"
    capabilities = frozenset({"think", "edit", "reflect"})
    batch_size = 64

    def __init__(self, path: Path) -> None:
        self._fingerprint = str(run_manifest(path)["identity"]["policy"])
        self._run = RunDirectory(path)
        self._by_seed = {(g.key.prompt_id, g.seed): g for g in self._run.load_generations().values()}

    @property
    def fingerprint(self) -> str:
        """Of the policy that made the images."""
        return self._fingerprint

    def resolve_params(self, params: GenerationParams) -> GenerationParams:
        """Nothing is sampled here; settings stay as they are."""
        return params

    def generate(self, requests: Sequence[Request]) -> list[Output]:
        """The stored image and text of each request."""
        return [self._look_up(r) for r in requests]

    def _look_up(self, request: Request) -> Output:
        prompt_id = request.sample[0]
        generation = self._by_seed.get((prompt_id, request.seed))
        if generation is None:
            return Output(
                status="skipped", error=f"{self._run.path} holds no sample of {prompt_id} with seed {request.seed}"
            )
        if generation.status != "ok":
            return Output(status=generation.status, error=generation.error)
        return Output(file=self._run.image_path(generation), text=generation.text, token_ids=generation.token_ids)


@MODELS.register("stored")
def load(argument: str, *, device: str = "cpu") -> StoredRun:
    """The images of a finished run, for another judge: `stored:RUN`."""
    return StoredRun(Path(argument).expanduser())
