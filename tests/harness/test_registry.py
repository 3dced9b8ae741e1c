"""Lazy entries, near misses, plugins, seeds."""

import subprocess
import sys

import pytest

from harness import seeds
from harness.errors import ConfigError
from harness.registry import BENCHMARKS, MODELS, Registry


def test_unknown_names_offer_near_misses():
    with pytest.raises(ConfigError, match=r"Unknown benchmark 'genevl'\. Did you mean 'geneval'\? Known: .*tiif"):
        BENCHMARKS.get("genevl")


def test_every_module_of_the_package_is_an_entry_and_registers_its_own_name():
    for registry in (BENCHMARKS, MODELS):
        for name in registry.names():
            assert registry.get(name) is not None


def test_two_entries_cannot_share_a_name():
    registry = Registry("thing")
    registry.register("a")(object())
    with pytest.raises(ConfigError, match="Two things are named 'a'"):
        registry.register("a")(object())


def test_names_import_nothing_heavy():
    code = (
        "import sys; from harness.registry import BENCHMARKS, JUDGES, MODELS\n"
        "for r in (BENCHMARKS, JUDGES, MODELS): r.names()\n"
        "for n in BENCHMARKS.names(): BENCHMARKS.get(n)\n"
        "assert not {'torch', 'matplotlib', 'transformers'} & set(sys.modules), 'heavy import'"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_seeds_are_stable_and_differ_in_every_part():
    assert seeds.for_sample(0, "geneval/00017", 0) == 7495613193869764578
    assert seeds.numpy_generator(5, "x").integers(1000, size=3).tolist() == [973, 480, 855]
    base = seeds.for_sample(0, "a", 0)
    others = {
        seeds.for_sample(1, "a", 0),
        seeds.for_sample(0, "b", 0),
        seeds.for_sample(0, "a", 1),
        seeds.for_sample(0, "a", 0, 1),
    }
    assert len(others | {base}) == 5
    assert 0 <= base < 2**63
    assert seeds.derive("a", "b") != seeds.derive("ab") and seeds.derive(1) != seeds.derive("1")
