"""HPSv3: human preference by a fine-tuned Qwen2-VL-7B (ICCV 2025, arXiv 2508.03789; code MIT).

raw = the mean of the predicted distribution; pairwise-trained, so without bound or zero point, about -2..15. The model
was trained with one wording, which is not part of this project: `run.py data prepare hpsv3` puts it into the data
folder, and no other is taken. `hpsv3:PATH` is `HPSv3.safetensors` or its folder; `base` has Qwen2-VL-7B-Instruct's
configuration and tokenizer. HPSv3++ and MPS are other models.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from harness import prompttemplates
from harness.errors import DataError, JudgeError
from harness.judges.scorers import files, weights
from harness.judges.scorers import hpsv3 as model
from harness.judges.scorers.judge import ScoreJudge
from harness.judges.scorers.options import DType, ScorerOptions, read_argument, resolve_device
from harness.registry import JUDGES

PUBLISHED = "MizzenAI/HPSv3"
BASE = "Qwen/Qwen2-VL-7B-Instruct"
TEXT_SHA256 = "f6ee57479d4e9eee76b49c00dc962e1e696a5a2b3cc32cebd9b1fa76fe27502c"
"""Of the wording that the model was trained with, with `{text_prompt}` for the prompt."""

_WEIGHT_NAMES = ("HPSv3.safetensors", "model.safetensors")
_TOKENIZER = ("tokenizer.json", "vocab.json")


@dataclass(frozen=True, slots=True, kw_only=True)
class HPSv3Options(ScorerOptions):
    """How HPSv3 is run."""

    dtype: DType = "bfloat16"
    """Precision of the body; the head is float32."""
    base: str = BASE
    """Folder or hub id of configuration and tokenizer."""
    base_revision: str | None = None
    """Of `base` on the hub; None takes the newest."""
    data_dir: str | None = None
    """Folder with official data; None takes the default one."""


@JUDGES.register("hpsv3")
def load(argument: str = "") -> ScoreJudge:
    """HPSv3; `hpsv3:PATH,base=PATH,data_dir=DIR,dtype=bfloat16,device=auto,batch_size=16`."""
    where, options = read_argument("hpsv3", argument, HPSv3Options)

    def read() -> tuple[list[Path], Path]:
        path = files.locate(where or PUBLISHED, _WEIGHT_NAMES, what="hpsv3", revision=options.revision)
        found = files.weight_files(path, _WEIGHT_NAMES, allow_pickle=options.allow_pickle, what="hpsv3")
        patterns = ("config.json", *files.TOKENIZER_FILES, *files.CHAT_TEMPLATES)
        base = files.locate(options.base, patterns, what="hpsv3: base", revision=options.base_revision)
        files.need(base, ["config.json"], what="hpsv3: base")
        files.need(base, _TOKENIZER, what="hpsv3: base")
        return found, base

    def identify() -> str:
        template = trained_wording(options.data_dir)
        found, base = read()
        names = ("config.json", *files.TOKENIZER_FILES, *files.CHAT_TEMPLATES)
        of_base = files.digest(base / n for n in names if (base / n).is_file())
        return f"{files.digest(found)}+{of_base}+{options.dtype}+wording@{template.sha256[:12]}"

    def load_model() -> model.HPSv3Scorer:
        template = trained_wording(options.data_dir)
        return load_scorer(*read(), template, dtype=options.dtype, device=options.device)

    return ScoreJudge("hpsv3", identify=identify, load=load_model, batch_size=options.batch_size)


def trained_wording(data_dir: str | None) -> prompttemplates.Template:
    """The text that the model was trained with, from the user's data folder.

    Raises:
        DataError: it is not prepared, or another wording.
    """
    try:
        template = prompttemplates.load(data_dir, "hpsv3", "score")
    except DataError as error:
        raise DataError(
            f"{error} HPSv3 only scores with the wording that it was trained with, which comes from the package hpsv3 "
            "1.0.0 (`--source` takes its wheel, an installed copy or a checkout); `data_dir=DIR` of the judge names "
            "another data folder."
        ) from None
    found = prompttemplates.text_sha256(template.render(prompt="{text_prompt}")) if template.fields else ""
    if template.fields != {"prompt"} or found != TEXT_SHA256:
        raise DataError(
            f"hpsv3: the prepared wording has sha256 {found or 'none'}, expected {TEXT_SHA256}. "
            "Another wording is another judge; run `run.py data prepare hpsv3`."
        )
    return template


def load_scorer(
    found: list[Path], base: Path, template: prompttemplates.Template, *, dtype: str, device: str
) -> model.HPSv3Scorer:
    """The model on its device.

    Raises:
        JudgeError: keys, shapes or tokenizer are not those of HPSv3.
    """
    from transformers import AutoTokenizer, Qwen2VLConfig

    state = weights.read_state(found)
    try:
        config = Qwen2VLConfig.from_pretrained(base)
        tokenizer = AutoTokenizer.from_pretrained(base, local_files_only=True)
    except (OSError, ValueError) as error:
        raise JudgeError(f"hpsv3: base {base} cannot be read ({error}).") from None
    where = str(found[0])
    body, head = model.build_model(state, config, dtype=dtype, where=where)
    model.add_reward_token(tokenizer, int(state[model.EMBEDDING].shape[0]), where=where)
    target = resolve_device(device)
    return model.HPSv3Scorer(body.to(target), head.to(target), tokenizer, template)
