"""HPSv2.1: human preference by a fine-tuned open_clip ViT-H/14 (arXiv 2306.09341; Apache-2.0).

raw = cosine of the embeddings, without the logit scale, about 0.15..0.40. The image is fitted into the square with
black borders, not cropped. Weights are under open_clip's names; `hpsv2:FILE` is a safetensors file of them, or with
`allow_pickle=true` the published `HPS_v2.1_compressed.pt`. v2.0 and v2.1 are different files with different scales.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.errors import JudgeError
from harness.judges.scorers import files, pixels, weights
from harness.judges.scorers.clip import LAION_H14, ClipKind, ClipOptions, identity, load_scorer, tokenizer_folder
from harness.judges.scorers.judge import ScoreJudge, Scorer
from harness.judges.scorers.openclip import to_transformers
from harness.judges.scorers.options import read_argument
from harness.registry import JUDGES

PUBLISHED = "HPS_v2.1_compressed.pt"
KIND = ClipKind(name="hpsv2", default="xswu/HPSv2", processor=LAION_H14, pixels=pixels.letterbox, scaled=False)
_WEIGHT_NAMES = ("HPS_v2.1_compressed.safetensors", "model.safetensors")


@dataclass(frozen=True, slots=True, kw_only=True)
class HPSv2Options(ClipOptions):
    """How HPSv2 is run."""

    base: str = LAION_H14
    """Folder or hub id of the configuration (ViT-H/14)."""


@JUDGES.register("hpsv2")
def load(argument: str = "") -> ScoreJudge:
    """HPSv2.1; `hpsv2:FILE,allow_pickle=true,base=PATH,processor=PATH,dtype=float32,device=auto,batch_size=64`."""
    where, options = read_argument("hpsv2", argument, HPSv2Options)

    def read() -> tuple[list[Path], Path, Path]:
        patterns = (*_WEIGHT_NAMES, PUBLISHED) if options.allow_pickle else _WEIGHT_NAMES
        path = files.locate(where or KIND.default, patterns, what="hpsv2", revision=options.revision)
        names = patterns if path.is_dir() else ()
        found = files.weight_files(path, names, allow_pickle=options.allow_pickle, what="hpsv2")
        base = files.locate(options.base, ("config.json", *files.TOKENIZER_FILES), what="hpsv2: base")
        files.need(base, ["config.json"], what="hpsv2: base")
        return found, base, tokenizer_folder(base, options.processor, KIND)

    def identify() -> str:
        found, base, tokenizer = read()
        return identity(KIND, [*found, base / "config.json"], tokenizer, options)

    def load_model() -> Scorer:
        from transformers import CLIPConfig

        found, base, tokenizer = read()
        config: Any = CLIPConfig.from_pretrained(base)
        if config.vision_config.hidden_act != "gelu" or config.text_config.hidden_act != "gelu":
            raise JudgeError(
                f"hpsv2: {base / 'config.json'} has the activation {config.vision_config.hidden_act!r}, but HPSv2 was "
                f"trained with 'gelu'. Take the configuration of {LAION_H14}."
            )
        state = to_transformers(weights.read_state(found))
        return load_scorer(KIND, config, state, tokenizer, options, where=str(found[0]))

    return ScoreJudge("hpsv2", identify=identify, load=load_model, batch_size=options.batch_size)
