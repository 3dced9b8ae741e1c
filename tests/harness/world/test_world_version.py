import re
import subprocess
import sys

import pytest

from harness.world import version
from harness.world.version import world_version


def test_version_is_twelve_hex_digits_and_the_same_in_another_process():
    assert re.fullmatch(r"[0-9a-f]{12}", world_version())
    code = "from harness.world.version import world_version; print(world_version())"
    other = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert other.stdout.strip() == world_version()


@pytest.mark.parametrize(
    ("module", "name", "value"),
    [
        ("harness.world.version", "WORDS", ("only",)),
        ("harness.world.verifier", "RELATION_PX", (4.0, 1.2)),
        ("harness.world.render", "STRIPE_SHADE", 0.3),
        ("harness.world.grammar.wording", "_PHOTO", ("a snapshot of",)),
        ("harness.world.grammar.sample", "_P_EXTRA", {}),
    ],
)
def test_version_changes_with_the_world(module, name, value, monkeypatch):
    before = world_version()
    # The package also exports a function called `wording`, so the module is looked up by its full name.
    monkeypatch.setattr(sys.modules[module], name, value)
    assert version.world_version.__wrapped__() != before
