import re
from pathlib import Path

import pytest

import harness.synthesis
from benchmarks.tiif.taxonomy import TYPES
from harness.errors import ConfigError
from harness.synthesis import pool as pools
from harness.synthesis.language import flaws
from harness.synthesis.tasks import TASKS


def test_the_tasks_are_the_types_of_tiif_in_its_order():
    assert tuple(TASKS) == TYPES


def test_every_place_has_things_beings_and_an_action(pool):
    for place in pool.places:
        assert len(pool.at_place[place]) >= 6, place
        assert pool.beings_at[place], place


def test_every_being_can_do_something_and_has_a_body(pool):
    for noun in pool.nouns.values():
        if noun.alive and noun.can:
            assert any(action.who & noun.can for action in pool.actions), noun.name
        assert bool(noun.body) == noun.alive, noun.name


def test_every_template_family_is_used():
    source = "".join(p.read_text() for p in Path(harness.synthesis.__file__).parent.rglob("*.py"))
    unused = [f for f in pools.load_pool().frames if f'"{f}"' not in source]
    assert unused == []


def test_fixed_sentences_are_sound(pool):
    for condition in (*pool.lights, *pool.views):
        assert not flaws(condition.sentence), condition.sentence
        assert not flaws(condition.question), condition.question


def test_an_unknown_attribute_is_named_with_a_near_miss():
    attributes = {"palettes": {}, "textures": {"wooden": {}}, "shapes": {}, "states": {}}
    members = {"chair": {"build": "artifact", "size": 1, "pose": "stand", "textures": ["wodden"]}}
    with pytest.raises(ConfigError, match=r"'chair'.*'wodden'.*Did you mean 'wooden'"):
        pools._nouns({"g": {"defaults": {}, "members": members}}, attributes, [])


def test_the_digest_covers_every_data_file():
    listed = {f"{name}.yaml" for name in (*pools.FILES, *pools.TEMPLATES)}
    assert listed == {p.name for p in pools.DATA.iterdir()}
    assert re.fullmatch("[0-9a-f]{64}", pools.pool_sha256())
