"""Configuration errors say file, line, key and what is allowed."""

from dataclasses import dataclass, field

import pytest

from harness.config import apply_settings, build, load_yaml, read_yaml, set_by_option, to_plain
from harness.errors import ConfigError
from harness.evalconfig import EvalConfig, config_hash, fold_benchmark_options


@dataclass(frozen=True, kw_only=True)
class Inner:
    rate: float = 0.1
    name: str | None = None


@dataclass(frozen=True, kw_only=True)
class Outer:
    steps: int = 5
    inner: Inner = field(default_factory=Inner)
    seeds: list[int] = field(default_factory=list)


def test_settings_are_typed_and_nested():
    assert build(Outer, apply_settings({"steps": 3}, ["inner.rate=1e-3", "seeds=[1, 2]", "inner.name=x"])) == Outer(
        steps=3, inner=Inner(rate=1e-3, name="x"), seeds=[1, 2]
    )


def test_a_value_is_blamed_on_where_it_was_given(tmp_path):
    file = tmp_path / "a.yaml"
    file.write_text("steps: 3\ninner:\n  rate: fast\n")
    data, lines = read_yaml(file)
    for settings, message in (
        ([], r"a\.yaml, line 3: Expected `float`"),
        (["steps=many", "inner.rate=1"], r"^--set steps=many: Expected `int`"),
        (["inner.rate=slow"], r"^--set inner\.rate=slow: Expected `float`"),
        (["inner={rate: slow}"], r"^--set inner=\{rate: slow\}: Expected `float`"),
        (["inner.rat=1"], r"^--set inner\.rat=1: unknown key"),
    ):
        changed, places = set_by_option(data, lines, settings)
        with pytest.raises(ConfigError, match=message):
            build(Outer, changed, where=str(file), lines=places)


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("step=3", r"unknown key 'step'\. Did you mean 'steps'\? Allowed: steps, inner, seeds"),
        ("inner.rat=3", r"unknown key 'inner\.rat'\. Did you mean 'rate'"),
        ("steps=many", r"Expected `int`, got `str` for 'steps'"),
        ("seeds=[a]", r"Expected `int`, got `str`"),
        ("inner=3", r"expected keys and values, got int"),
        ("steps.deep=3", r"unknown key|Expected `int`, got|expected"),
        ("steps", r"expected KEY=VALUE"),
    ],
)
def test_wrong_settings_are_refused(setting, message):
    with pytest.raises(ConfigError, match=message):
        build(Outer, apply_settings({}, [setting]))


def test_yaml_errors_name_file_and_line(tmp_path):
    path = tmp_path / "run.yaml"
    path.write_text("steps: 3\ninner:\n  rate: 0.5\n  nam: x\n")
    data, lines = read_yaml(path)
    with pytest.raises(ConfigError, match=r"run\.yaml, line 4: unknown key 'inner\.nam'\. Did you mean 'name'"):
        build(Outer, data, where=str(path), lines=lines)
    path.write_text("steps: [1, 2\n")
    with pytest.raises(ConfigError, match="not valid YAML"):
        read_yaml(path)
    path.write_text("- 1\n")
    with pytest.raises(ConfigError, match="expected keys and values at the top"):
        read_yaml(path)
    with pytest.raises(ConfigError, match="cannot be read"):
        read_yaml(tmp_path / "none.yaml")


def test_yaml_cannot_construct_objects(tmp_path):
    path = tmp_path / "run.yaml"
    path.write_text("steps: !!python/object/apply:os.system ['true']\n")
    with pytest.raises(ConfigError):
        read_yaml(path)


def test_benchmark_names_at_the_top_are_options_of_that_benchmark():
    data = fold_benchmark_options({"limit": 3, "toy": {"n": 4}, "options": {"toy": {"edit": True}}}, ["toy"])
    assert build(EvalConfig, data).options == {"toy": {"edit": True, "n": 4}}


@pytest.mark.parametrize("bad", [{"limit": 0}, {"seeds": []}, {"seeds": [1, 1]}, {"models": []}, {"max_missing": 2.0}])
def test_impossible_values_are_refused(bad):
    with pytest.raises(ConfigError, match=next(iter(bad))):
        build(EvalConfig, bad)


def test_identity_ignores_what_cannot_change_a_record():
    base = EvalConfig().identity("micro", "f")
    assert EvalConfig(limit=3, batch_size=2, protocol="corrected").identity("micro", "f") == base
    assert config_hash(EvalConfig(seeds=[1]).identity("micro", "f")) != config_hash(base)
    assert build(EvalConfig, to_plain(EvalConfig(limit=3))) == EvalConfig(limit=3)


def test_words_stay_words_and_numbers_are_read_as_meant():
    assert load_yaml("[off, on, yes, no, true, 1e-3, 1e5 steps, true story]") == [
        "off", "on", "yes", "no", True, 0.001, "1e5 steps", "true story",
    ]  # fmt: skip
