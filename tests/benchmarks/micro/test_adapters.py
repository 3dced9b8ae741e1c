"""Each micro edition through its adapter and the micro judge: full marks for right pictures, fewer for wrong ones."""

from collections.abc import Sequence

import pytest
from PIL import Image

from benchmarks.base import Benchmark
from benchmarks.dpg import DPG
from benchmarks.dpg.adapter import DPGOptions
from benchmarks.gedit import GEdit
from benchmarks.gedit.adapter import GEditOptions
from benchmarks.geneval import GenEval, GenEvalOptions
from benchmarks.micro import dpg, gedit, geneval, tiif, wise
from benchmarks.tiif import TIIF, TIIFOptions
from benchmarks.wise import WISE, WISEOptions
from harness.images import ref_of_image
from harness.judges.micro import MicroJudge
from harness.judging import call_id, records_of
from harness.types import Generation, Prompt, SampleKey
from harness.world.grammar import corrupt, sample_layout
from harness.world.render import render
from harness.world.scene import Scene
from tests.benchmarks.micro.support import rng

N_TIIF, N_DPG, N_WISE, N_GEDIT, N_GENEVAL = 1, 10, 3, 3, 3


def _adapter(name: str, protocol: str = "official") -> Benchmark:
    kind, options = {
        "geneval": (GenEval, GenEvalOptions(prompts_per_tag=N_GENEVAL, samples_per_prompt=1)),
        "tiif": (TIIF, TIIFOptions(n_per_type=N_TIIF)),
        "dpg": (DPG, DPGOptions(n_prompts=N_DPG, pic_num=1)),
        "wise": (WISE, WISEOptions(n_per_category=N_WISE)),
        "wise-legacy": (WISE, WISEOptions(n_per_category=N_WISE, variant="legacy")),
        "gedit": (GEdit, GEditOptions(n_per_group=N_GEDIT)),
    }[name]
    return kind(profile="micro", protocol=protocol, options=options)


def _scenes(name: str, *, right: bool) -> list[Scene]:
    """Scenes in the order of the adapter's prompts; the wrong ones violate a fact (gedit: the source, unchanged)."""
    if name == "gedit":
        return [c.edit.target if right else c.edit.source for c in gedit.cases(N_GEDIT, 0)]
    module, n = {
        "geneval": (geneval, N_GENEVAL),
        "tiif": (tiif, N_TIIF),
        "dpg": (dpg, N_DPG),
        "wise": (wise, N_WISE),
        "wise-legacy": (wise, N_WISE),
    }[name]
    specs = [c.spec for c in module.cases(n, 0)]
    layouts = [sample_layout(rng("adapters", i), s) for i, s in enumerate(specs)]
    return (
        layouts
        if right
        else [corrupt(rng("wrong", i), x, s)[0] for i, (x, s) in enumerate(zip(layouts, specs, strict=True))]
    )


def _table(adapter: Benchmark, scenes: Sequence[Scene]) -> dict[str, float | None]:
    """The adapter's table over one picture of each scene, judged by the exact verifier."""
    prompts: list[Prompt] = adapter.prompts()
    pictures = render(list(scenes), list(range(len(scenes))))
    judge, asked, scores = MicroJudge(), [], []
    for prompt, pixels in zip(prompts, pictures, strict=True):
        key = SampleKey(benchmark=adapter.name, prompt_id=prompt.id)
        generation = Generation(id=prompt.id, key=key, seed=0, policy="test", params={})
        images = [
            ref_of_image(Image.fromarray(pixels)),
            *(adapter.source_image(prompt, n) for n in prompt.source_images),
        ]
        asked += [(prompt, generation, r) for r in adapter.requests(prompt, generation, images)]
    replies = judge.ask([r for _, _, r in asked])
    verdicts: dict[str, list] = {p.id: [] for p in prompts}
    generations = {}
    for (prompt, generation, request), reply in zip(asked, replies, strict=True):
        generations[prompt.id] = generation
        verdicts[prompt.id] += records_of(judge, call_id(judge.fingerprint, request), request, generation.key, reply)
    for prompt in prompts:
        assert [v.error for v in verdicts[prompt.id] if v.status != "ok"] == []
        scores += adapter.score(prompt, generations[prompt.id], verdicts[prompt.id])
    return {s.metric: s.value for s in adapter.aggregate({p.id: p for p in prompts}, scores)}


FULL_MARKS = {
    "geneval": {"overall": 1.0},
    "tiif": {"overall/short": 1.0, "overall/long": 1.0},
    "dpg": {"overall": 100.0},
    "wise": {"overall/official": 1.0},
    "wise-legacy": {"overall/official": 1.0},
    "gedit": {"overall/SC": 10.0, "overall/PQ": 10.0, "overall/O": 10.0},
}


@pytest.mark.parametrize("protocol", ["official", "corrected"])
@pytest.mark.parametrize("name", FULL_MARKS)
def test_right_pictures_get_full_marks(name: str, protocol: str) -> None:
    table = _table(_adapter(name, protocol), _scenes(name, right=True))
    assert {k: table.get(k) for k in FULL_MARKS[name]} == pytest.approx(FULL_MARKS[name])


@pytest.mark.parametrize("name", FULL_MARKS)
def test_wrong_pictures_lose(name: str) -> None:
    table = _table(_adapter(name), _scenes(name, right=False))
    for metric, full in FULL_MARKS[name].items():
        # The quality of an unchanged source is as good as that of a right edit.
        assert metric == "overall/PQ" or table[metric] < 0.9 * full


def test_unchanged_sources_keep_everything_but_change_nothing() -> None:
    table = _table(_adapter("gedit"), _scenes("gedit", right=False))
    assert table["overall/PQ"] == pytest.approx(10.0)
    assert table["overall/SC"] < 7.0
