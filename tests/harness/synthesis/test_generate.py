import hashlib
import os
import subprocess
import sys

import msgspec
import pytest

from harness.errors import ConfigError, DataError
from harness.synthesis import generate
from harness.synthesis.checks import problems
from harness.synthesis.compose import finish
from harness.synthesis.draw import Draw
from harness.synthesis.generate import Settings, Synthesis, is_held_out, records
from harness.synthesis.pairs import Maker
from harness.synthesis.scene import CONTENT_KINDS, Asked, Entity, Scene
from tests.conftest import ROOT

TINY = Settings(seed=0, train=78, test=39)
GOLDEN = "9349e019eaacb21e1f5c3d75ea8c0a8157d2d5668a195db1bc98d603416a737e"


def encoded(result, settings):
    rows = [*records(result, settings, "train"), *records(result, settings, "test"), *result.rejected, *result.near]
    return b"\n".join(map(msgspec.json.encode, rows))


def test_the_same_seed_and_version_give_the_same_bytes(pool):
    first = encoded(Synthesis(pool, TINY, {}).run(), TINY)
    second = encoded(Synthesis(pool, TINY, {}).run(), TINY)
    assert first == second
    # A change of this digest is a change of the output: raise harness.synthesis.VERSION with it.
    assert hashlib.sha256(first).hexdigest() == GOLDEN


def test_another_process_with_another_hash_seed_gives_the_same_bytes():
    code = (
        "import hashlib; from tests.harness.synthesis import test_generate as t\n"
        "from harness.synthesis.pool import load_pool\n"
        "made = t.encoded(t.Synthesis(load_pool(), t.TINY, {}).run(), t.TINY)\n"
        "print(hashlib.sha256(made).hexdigest())"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env={**os.environ, "PYTHONHASHSEED": "12345"},
        check=True,
        capture_output=True,
        text=True,
    )
    assert done.stdout.strip() == GOLDEN


def test_another_seed_gives_other_prompts_and_keeps_the_split(pool, small):
    other = Synthesis(pool, Settings(seed=2, train=0, test=78), {}).run()
    seeded = {p.text for p in small.prompts["test"]}
    assert len(seeded & {p.text for p in other.prompts["test"]}) < 8
    cores = {frozenset(p.primitives[:2]) for p in other.prompts["test"]}
    for prompt in small.prompts["train"]:
        content = [p for p in prompt.primitives if p.split(":")[0] in CONTENT_KINDS]
        assert not {frozenset((a, b)) for a in content for b in content if a != b} & cores


def test_held_out_pairs_have_no_order_and_the_stated_share():
    assert is_held_out("object:chair", "object:lamp") == is_held_out("object:lamp", "object:chair")
    share = sum(is_held_out(f"object:{i}", f"object:{j}") for i in range(100) for j in range(100, 200)) / 10_000
    assert abs(100 * share - generate.HELD_OUT_PERCENT) < 1


def test_every_draw_is_accounted_for(small):
    draws = dict(small.draws)
    assert draws.pop("all") == sum(draws.values())
    assert draws["used"] == len(small.prompts["train"]) + len(small.prompts["test"])
    assert draws["rejected"] == len(small.rejected) > 0


def test_rejections_say_what_was_wrong_and_their_places_are_filled(small):
    for row in small.rejected:
        assert row["reasons"]
        assert row["prompt"]
    kept = {p.text for split in ("train", "test") for p in small.prompts[split]}
    assert not kept & {row["prompt"] for row in small.rejected}


def test_planted_near_duplicates_of_a_benchmark_are_reported(pool, small):
    victim = small.prompts["test"][5]
    planted = {
        "bench/1": "The picture shows " + victim.text[0].lower() + victim.text[1:],
        "bench/2": "Unrelated words.",
    }
    result = Synthesis(pool, Settings(seed=1, train=0, test=78), planted).run()
    found = [row for row in result.near if row["against"] == "benchmark"]
    assert [(row["prompt"], row["other_id"], row["replaced"]) for row in found] == [(victim.text, "bench/1", False)]
    assert found[0]["similarity"] >= 0.7
    assert [p.text for p in result.prompts["test"]] == [p.text for p in small.prompts["test"]]


def test_drop_and_refill_replaces_them_and_keeps_the_counts(pool, small):
    planted = {f"bench/{i}": p.text for i, p in enumerate(small.prompts["test"][:20])}
    settings = Settings(seed=1, train=0, test=78, near_duplicates="drop-and-refill")
    result = Synthesis(pool, settings, planted).run()
    kept = {p.text for p in result.prompts["test"]}
    assert len(kept) == 78
    assert not kept & set(planted.values())
    replaced = {row["prompt"] for row in result.near if row["replaced"]}
    assert set(planted.values()) <= replaced
    cells = {(t, d): n for t, c in settings.counts("test").items() for d, n in c.items() if n}
    found = {}
    for prompt in result.prompts["test"]:
        found[prompt.task, prompt.difficulty] = found.get((prompt.task, prompt.difficulty), 0) + 1
    assert found == cells


def test_near_duplicates_within_the_output_are_found_and_replaced(pool):
    settings = {"seed": 0, "train": 150, "test": 30, "tasks": ("comparison+2d",), "threshold": 0.6}
    reported = Synthesis(pool, Settings(**settings), {}).run()
    assert [row for row in reported.near if row["against"] == "output" and not row["replaced"]]
    refilled = Synthesis(pool, Settings(**settings, near_duplicates="drop-and-refill"), {}).run()
    assert len(refilled.prompts["train"]) == 150
    assert all(row["replaced"] for row in refilled.near)
    texts = [p.text for s in ("train", "test") for p in refilled.prompts[s]]
    index = generate.NearIndex(0.6)
    for i, text in enumerate(texts):
        assert index.near(text) == []
        index.add(str(i), text)


def test_asking_for_more_than_the_primitives_give_is_an_error(pool, monkeypatch):
    monkeypatch.setattr(generate, "_MAX_DRAWS_PER_PROMPT", 3)
    settings = Settings(train=400, test=0, tasks=("comparison+2d",), threshold=0.3, near_duplicates="drop-and-refill")
    with pytest.raises(DataError, match=r"no new prompt for 'comparison\+2d'"):
        Synthesis(pool, settings, {}).run()


@pytest.mark.parametrize("wrong", [{"train": -1}, {"train": 0, "test": 0}, {"threshold": 1.5}, {"seed": -2}])
def test_impossible_settings_are_refused(wrong):
    with pytest.raises(ConfigError, match="expected"):
        Settings(**wrong)


class TestChecks:
    @pytest.fixture
    def scene(self, pool):
        scene = Scene("negation", "easy", pool.places["kitchen"])
        scene.add(Entity(pool.nouns["cup"]), Entity(pool.nouns["table"]))
        scene.sentences.append("A cup stands on a table.")
        return scene

    def test_a_sound_scene_passes(self, scene):
        assert problems(scene, [], []) == []

    def test_clashing_primitives(self, scene):
        scene.note("look:bright", "light:dim light")
        assert problems(scene, [], []) == ["primitives clash: look:bright with light:dim light"]

    def test_present_and_absent(self, scene):
        scene.absent.append("cup")
        assert "cup is both present and absent" in problems(scene, [], [])[0]

    def test_over_long(self, scene):
        scene.sentences += ["The cup is here, and the table too."] * 6
        assert any(p.startswith("too long: 54 words, the limit for easy is 40") for p in problems(scene, [], []))

    def test_a_question_about_something_else(self, scene):
        asked = Asked("Is the dog asleep?", "Action", ("dog|dogs",))
        assert problems(scene, [asked], []) == ["question 'Is the dog asleep?': 'dog|dogs' is not in the prompt"]

    def test_an_unknown_tag(self, scene):
        asked = Asked("Is the cup red?", "Look", ("cup",))
        assert "unknown tag 'Look'" in problems(scene, [asked], [])[0]

    def test_colors_in_a_colorless_style(self, pool, scene):
        scene.note("color:red")
        scene.style = next(s for s in pool.styles if s.colorless)
        assert "has no colors" in problems(scene, [], [])[0]

    def test_finished_prompts_carry_their_problems(self, pool, scene):
        scene.sentences[0] = "A apple  stands on a table"
        prompt = finish(pool, Draw(0, "x"), scene)
        assert {"form: wrong spaces", "form: no end mark", "form: wrong article in 'A apple'"} <= set(prompt.problems)


class TestRelations:
    def test_small_things_stand_on_large_ones_only(self, pool):
        from harness.synthesis.pairs import can_hold

        on = next(r for r in pool.relations["2d"] if r.name == "on top of")
        assert can_hold(on, pool.nouns["cup"], pool.nouns["table"])
        assert not can_hold(on, pool.nouns["table"], pool.nouns["cup"])
        assert not can_hold(on, pool.nouns["horse"], pool.nouns["table"])

    def test_only_hanging_or_floating_things_are_above(self, pool):
        from harness.synthesis.pairs import can_hold

        above = next(r for r in pool.relations["2d"] if r.name == "above")
        assert can_hold(above, pool.nouns["balloon"], pool.nouns["bench"])
        assert not can_hold(above, pool.nouns["bench"], pool.nouns["balloon"])

    def test_two_things_never_share_an_adjective(self, pool):
        scene = Scene("color+2d", "easy", pool.places["kitchen"])
        maker = Maker(pool, Draw(0, "colors"), scene)
        for _ in range(8):
            scene.add(maker.thing(("color",)))
        words = [a.word for e in scene.entities for a in e.adjectives]
        assert len(set(words)) == len(words)
