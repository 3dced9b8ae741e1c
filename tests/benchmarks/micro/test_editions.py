"""What all five micro editions promise: deterministic, unique, inside the vocabulary and the benchmark split."""

import json
from types import ModuleType

import pytest

from benchmarks.micro import dpg, gedit, geneval, tiif, wise
from harness.errors import ConfigError
from harness.world.edits import split_of_edit
from harness.world.grammar import HELD_OUT, canonical, split_of
from harness.world.vocabulary import WORDS, words_of

EDITIONS = {"geneval": geneval, "tiif": tiif, "dpg": dpg, "wise": wise, "gedit": gedit}
WITH_SPECS = {name: module for name, module in EDITIONS.items() if module is not gedit}
SMALL = 6

editions = pytest.mark.parametrize("module", EDITIONS.values(), ids=EDITIONS)
editions_with_specs = pytest.mark.parametrize("module", WITH_SPECS.values(), ids=WITH_SPECS)


@editions
def test_the_same_arguments_give_the_same_prompts(module: ModuleType) -> None:
    first = module.prompts(SMALL, 3)
    module.cases.cache_clear()
    assert module.prompts(SMALL, 3) == first
    assert module.prompts(SMALL, 4) != first


@editions
def test_changing_a_returned_list_leaves_the_edition_alone(module: ModuleType) -> None:
    n = len(module.prompts(SMALL))
    module.prompts(SMALL).clear()
    assert len(module.prompts(SMALL)) == n > 0


@editions
def test_ids_are_unique_and_start_with_the_benchmark(module: ModuleType) -> None:
    name = module.__name__.rsplit(".", 1)[1]
    ids = [p.id for p in module.prompts()]
    assert len(set(ids)) == len(ids)
    assert all(i.startswith(f"{name}/") and " " not in i for i in ids)


@editions
def test_every_word_of_every_prompt_is_in_the_vocabulary(module: ModuleType) -> None:
    used = {word for p in module.prompts() for word in words_of(p.text)}
    assert len(used) > 20
    assert used <= set(WORDS)


@editions
def test_metadata_is_plain_json(module: ModuleType) -> None:
    for prompt in module.prompts():
        assert json.loads(json.dumps(prompt.meta)) == prompt.meta


@editions
def test_data_id_names_the_content(module: ModuleType) -> None:
    first = module.data_id(SMALL, 0)
    assert first.startswith(f"{module.__name__.rsplit('.', 1)[1]}-micro@")
    assert module.data_id(SMALL, 0) == first
    assert len({first, module.data_id(SMALL, 1), module.data_id(SMALL + 1, 0)}) == 3


@editions
@pytest.mark.parametrize("n", [0, -1])
def test_a_number_below_one_is_refused(module: ModuleType, n: int) -> None:
    with pytest.raises(ConfigError, match=r"positive|from 1"):
        module.prompts(n)


@editions_with_specs
def test_no_two_prompts_ask_for_the_same_and_none_belongs_to_training(module: ModuleType) -> None:
    specs = {(c.prompt.id.rsplit("/", 1)[0] if module is tiif else c.prompt.id): c.spec for c in module.cases()}
    assert len({canonical(s) for s in specs.values()}) == len(specs)
    assert {split_of(s) for s in specs.values()} == {"bench"}


@editions_with_specs
def test_combinations_held_out_of_training_occur(module: ModuleType) -> None:
    named = {(g.what.colour, g.what.shape) for c in module.cases() for g in c.spec.groups}
    assert named & HELD_OUT


def test_no_edit_belongs_to_training() -> None:
    edits = [c.edit for c in gedit.cases()]
    assert {split_of_edit(e.request, e.source, e.target) for e in edits} == {"bench"}
    assert len({(str(e.request), e.source) for e in edits}) == len(edits)


@pytest.mark.parametrize("module", [tiif, dpg, wise, gedit], ids=["tiif", "dpg", "wise", "gedit"])
def test_more_prompts_keep_the_first_ones(module: ModuleType) -> None:
    few, many = ({p.id: p for p in module.prompts(n)} for n in (SMALL, 2 * SMALL))
    assert all(many[i] == p for i, p in few.items())
    assert len(many) == 2 * len(few)
