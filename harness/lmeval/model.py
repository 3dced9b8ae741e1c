"""A policy's text side as the lm-eval model `ummbench`. Importing this module needs lm-eval (extra `lm-eval`)."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

from lm_eval.api.instance import Instance
from lm_eval.api.model import LM
from lm_eval.api.registry import register_model

from harness import seeds
from harness.errors import ConfigError
from harness.models.base import Policy
from harness.models.load import load_policy
from harness.models.textside import TextPair, TextSide, text_side

_LOG = logging.getLogger(__name__)
_GENERATION = frozenset({"until", "max_gen_toks", "do_sample", "temperature", "top_p"})


@register_model("ummbench")
class UmmbenchLM(LM):  # type: ignore[misc]
    """Log-likelihoods and text of a policy that has a text side.

    Args:
        model: a policy, or what `run.py eval` takes (a name or a checkpoint folder).
        batch_size: requests per forward pass; results do not depend on it.
        device: torch device; a GPU that is not there, which lm-eval's command line asks for by default, is the CPU.
        seed: of sampled text (`do_sample`); each request has its own generator, derived from its text.
        max_batch_size: taken for lm-eval's sake; not used.

    Raises:
        PolicyError: the model has no text side.
    """

    def __init__(
        self,
        model: Policy | str = "micro",
        batch_size: int | str | None = None,
        device: str | None = None,
        seed: int = 0,
        max_batch_size: int | None = None,
    ) -> None:
        super().__init__()
        self.policy = load_policy(model, device=_device(device)) if isinstance(model, str) else model
        self.side: TextSide = text_side(self.policy)
        self.batch_size = _batch_size(batch_size, self.policy)
        self.seed = int(seed)
        self.n_truncated = 0
        """Contexts that were cut at their left because they were too long."""

    def loglikelihood(self, requests: list[Instance], disable_tqdm: bool = False) -> list[tuple[float, bool]]:
        """(log-probability in nats, whether greedy decoding would write it) of each continuation after its context."""
        pairs = [self.side.encode(*r.args) for r in requests]
        self.n_truncated += sum(p.n_dropped > 0 for p in pairs)
        scored = [(sum(s.log_probs), s.is_greedy) for s in self._scores(pairs)]
        for request, result in zip(requests, scored, strict=True):
            self.cache_hook.add_partial("loglikelihood", request.args, result)
        return scored

    def loglikelihood_rolling(self, requests: list[Instance], disable_tqdm: bool = False) -> list[float]:
        """Log-probability in nats of each whole text; long ones in windows, every token once."""
        windows = [self.side.windows(*r.args) for r in requests]
        scores = iter(self._scores([w for row in windows for w in row]))
        totals = [float(sum(sum(next(scores).log_probs) for _ in row)) for row in windows]
        for request, total in zip(requests, totals, strict=True):
            self.cache_hook.add_partial("loglikelihood_rolling", request.args, total)
        return totals

    def generate_until(self, requests: list[Instance], disable_tqdm: bool = False) -> list[str]:
        """Text after each context, cut before the first of the `until` strings.

        Raises:
            ConfigError: a generation setting that this model does not have.
        """
        settings = [_settings(r.args[1], self.side.max_tokens) for r in requests]
        found = [""] * len(requests)
        groups: dict[tuple[int, float, float], list[int]] = {}
        for i, s in enumerate(settings):
            groups.setdefault((s["max_tokens"], s["temperature"], s["top_p"]), []).append(i)
        for (max_tokens, temperature, top_p), members in groups.items():
            for start in range(0, len(members), self.batch_size):
                part = members[start : start + self.batch_size]
                written = self.side.write(
                    [requests[i].args[0] for i in part],
                    max_tokens=max_tokens,
                    temperature=temperature,
                    top_p=top_p,
                    seeds=[seeds.derive("lm-eval", self.seed, requests[i].args[0], requests[i].idx) for i in part],
                )
                for i, w in zip(part, written, strict=True):
                    self.n_truncated += w.n_dropped > 0
                    found[i] = _cut(w.text, settings[i]["until"])
                    self.cache_hook.add_partial("generate_until", requests[i].args, found[i])
        return found

    @property
    def tokenizer_name(self) -> str:
        """The policy's name and fingerprint."""
        return f"{self.policy.name}-{self.policy.fingerprint}"

    def _scores(self, pairs: Sequence[TextPair]) -> list[Any]:
        """Scores in the order of `pairs`; similar lengths share a pass, so that little is padded."""
        order = sorted(range(len(pairs)), key=lambda i: (len(pairs[i].context), pairs[i].context))
        found: list[Any] = [None] * len(pairs)
        for start in range(0, len(order), self.batch_size):
            part = order[start : start + self.batch_size]
            for i, score in zip(part, self.side.log_probs([pairs[i] for i in part]), strict=True):
                found[i] = score
        return found


def _device(name: str | None) -> str:
    import torch

    if name is not None and name.startswith("cuda") and not torch.cuda.is_available():
        _LOG.warning("There is no GPU for device %s: the model runs on the CPU.", name)
        return "cpu"
    return name or "cpu"


def _batch_size(given: int | str | None, policy: Policy) -> int:
    if given is None or str(given).startswith("auto"):
        return policy.batch_size
    try:
        size = int(given)
    except ValueError:
        size = 0
    if size < 1:
        raise ConfigError(f"batch_size is {given!r}; expected a positive whole number or 'auto'.")
    return size


def _settings(given: dict[str, Any], longest: int) -> dict[str, Any]:
    unknown = sorted(set(given) - _GENERATION)
    if unknown:
        raise ConfigError(
            f"generation settings {', '.join(unknown)} are not known to the model 'ummbench'; it has "
            f"{', '.join(sorted(_GENERATION))}. Change the task's generation_kwargs."
        )
    until = given.get("until") or []
    temperature = float(given.get("temperature", 0.0) or 0.0)
    sampled = bool(given.get("do_sample", temperature > 0))
    return {
        "until": [until] if isinstance(until, str) else list(until),
        "max_tokens": min(int(given.get("max_gen_toks", longest)), longest),
        "temperature": (temperature or 1.0) if sampled else 0.0,
        "top_p": float(given.get("top_p", 1.0)),
    }


def _cut(text: str, until: Sequence[str]) -> str:
    for stop in until:
        if stop:
            text = text.split(stop)[0]
    return text
