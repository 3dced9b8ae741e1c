import pytest

from harness.synthesis.generate import Settings, Synthesis, records
from harness.synthesis.pool import load_pool

SMALL = Settings(seed=1, train=780, test=78)


@pytest.fixture(scope="session")
def pool():
    return load_pool()


@pytest.fixture(scope="session")
def small(pool):
    return Synthesis(pool, SMALL, {}).run()


@pytest.fixture(scope="session")
def small_records(small):
    return {split: records(small, SMALL, split) for split in ("train", "test")}
