"""A vision-language model in this process through the library transformers.

`transformers:MODEL[,dtype=..,device=..,batch=..,preset=..,...]`; MODEL is a folder or a hub repository, the settings
are the fields of `TransformersSettings`. P(yes) comes from the logits of every spelling of yes and no (softmax over the
full vocabulary in float32), so it is exact. For Qwen2-VL, Qwen2.5-VL and Qwen3-VL (also mixtures of experts), the
pictures and everything else that questions have in common run once per picture (`vlm/transformers_prefix.py`); other
image-and-text models run once per question. One device: for models that do not fit on it, use a vLLM server.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from harness.errors import ConfigError, DataError, JudgeError
from harness.judges.vlm.local import First, LocalJudge, LocalSettings, PictureGroup, WriteJob, Written, parse_local
from harness.judges.vlm.yesno import YesNoTokens, p_yes_exact, spellings
from harness.registry import JUDGES


@dataclass(frozen=True, slots=True, kw_only=True)
class TransformersSettings(LocalSettings):
    """What may follow the model."""

    device: str = "auto"
    """`auto` (CUDA where there is one), `cpu`, `cuda`, `cuda:1`."""
    batch: int = 16
    """Most questions in one forward pass; changes no answer beyond rounding."""

    def __post_init__(self) -> None:
        # Not super(): a dataclass with slots is rebuilt, and super() would name the one before.
        LocalSettings.__post_init__(self)
        if self.batch < 1:
            raise ConfigError(f"batch: expected a positive number, got {self.batch}.")


class TransformersJudge(LocalJudge):
    """A model of the library transformers.

    Args:
        model: folder or hub repository.
        settings: what followed it.

    Raises:
        JudgeError: transformers is not installed, or the model has no configuration.
    """

    name = "transformers"

    def __init__(self, model: str, settings: TransformersSettings | None = None) -> None:
        from harness.judges.vlm.transformers_identity import model_label, require_transformers

        chosen = settings or TransformersSettings()
        super().__init__(model, chosen)
        self._device, self._batch = chosen.device, chosen.batch
        self._label = f"transformers-{require_transformers().__version__}:{model_label(model, chosen.dtype)}"
        self._loaded: Any = None
        self._tokens: YesNoTokens | None = None

    @property
    def _identity(self) -> str:
        return self._label + self._resizer()

    def _resizer(self) -> str:
        """Which code resizes pictures: PIL's and torchvision's differ a little."""
        from importlib.util import find_spec

        return ",pil" if find_spec("torchvision") is None else ",torchvision"

    def _ensure(self) -> tuple[Any, YesNoTokens]:
        """The loaded model and its spellings of yes and no."""
        if self._loaded is None:
            from harness.judges.vlm.transformers_load import load_model

            self._loaded = load_model(self.model, dtype=self.settings.dtype, device=self._device)
        if self._tokens is None:
            tokenizer = self._loaded.tokenizer
            try:
                self._tokens = spellings(lambda i: tokenizer.decode([i]), len(tokenizer))
            except ValueError as error:
                raise JudgeError(f"{self.model}: {error}.") from None
        return self._loaded, self._tokens

    def close(self) -> None:
        """Lets go of the weights."""
        super().close()
        self._loaded = None

    def _first_tokens(self, groups: Sequence[PictureGroup]) -> list[list[First | DataError]]:
        loaded, _ = self._ensure()
        one = self._of_qwen if loaded.is_qwen else self._of_other
        return [_without_memory_errors(one, self.model, g) for g in groups]

    def _of_qwen(self, group: PictureGroup) -> list[First | DataError]:
        """One group, its pictures read once."""
        from harness.judges.vlm.transformers_prefix import first_log_probs
        from harness.judges.vlm.transformers_prompt import encode_chat, encode_pictures

        loaded, tokens = self._ensure()
        pictures = encode_pictures(loaded, group.images) if group.images else None
        prompts: list[tuple[int, ...] | DataError] = []
        for chat in group.chats:
            try:
                prompts.append(encode_chat(loaded, chat, pictures, self.template_options))
            except DataError as error:
                prompts.append(error)
        ready = [p for p in prompts if not isinstance(p, DataError)]
        found = iter(first_log_probs(loaded, ready, pictures, [*tokens.yes, *tokens.no], batch=self._batch).tolist())
        return [p if isinstance(p, DataError) else First(_p_yes(next(found), tokens), len(p)) for p in prompts]

    def _of_other(self, group: PictureGroup) -> list[First | DataError]:
        """One group, question by question."""
        from harness.judges.vlm.transformers_generic import generic_inputs, generic_log_probs

        loaded, tokens = self._ensure()
        results: list[First | DataError] = []
        for chat in group.chats:
            try:
                inputs = generic_inputs(loaded, group.images, chat, self.template_options)
            except DataError as error:
                results.append(error)
                continue
            row = generic_log_probs(loaded, inputs, [*tokens.yes, *tokens.no]).tolist()
            results.append(First(_p_yes(row, tokens), inputs["input_ids"].shape[1]))
        return results

    def _write(self, jobs: Sequence[WriteJob]) -> list[Written | DataError]:
        results: list[Written | DataError] = []
        for job in jobs:
            # One at a time: a sampled reply then depends on its own seed alone.
            try:
                results.append(self._write_one(job))
            except DataError as error:
                results.append(error)
        return results

    def _write_one(self, job: WriteJob) -> Written:
        from harness.judges.vlm.transformers_generic import generic_inputs
        from harness.judges.vlm.transformers_prompt import encode_chat, encode_pictures, row_inputs
        from harness.judges.vlm.transformers_write import write

        loaded, _ = self._ensure()
        if loaded.is_qwen:
            pictures = encode_pictures(loaded, job.images) if job.images else None
            inputs = row_inputs(loaded, encode_chat(loaded, job.chat, pictures, self.template_options), pictures)
        else:
            inputs = generic_inputs(loaded, job.images, job.chat, self.template_options)
        return write(loaded, inputs, job.sampling)


def _p_yes(row: Sequence[float], tokens: YesNoTokens) -> Any:
    n = len(tokens.yes)
    return p_yes_exact(row[:n], row[n:], how="logits")


def _without_memory_errors(one: Any, model: str, group: PictureGroup) -> list[First | DataError]:
    import torch

    try:
        found: list[First | DataError] = one(group)
    except torch.OutOfMemoryError:
        raise JudgeError(f"{model}: the device has too little memory for a batch; lower batch=N.") from None
    return found


@JUDGES.register("transformers")
def load(argument: str = "") -> TransformersJudge:
    """A vision-language model in this process: `transformers:MODEL,dtype=bfloat16,device=cuda`, exact P(yes)."""
    return TransformersJudge(*parse_local(argument, TransformersSettings, judge="transformers"))
