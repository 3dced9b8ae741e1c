"""One browser for the module, which is skipped without Chromium except where `UMMBENCH_BROWSER=required`."""

import os

import pytest

from reports.page import write_page
from reports.page.browser import Browser, find_browser
from tests.reports.page.made import small_run


@pytest.fixture(scope="module")
def browser():
    program = find_browser()
    if program is None:
        message = "no Chromium found (install the package 'chromium', or name it in UMMBENCH_CHROMIUM)"
        if os.environ.get("UMMBENCH_BROWSER") == "required":
            pytest.fail(message)
        pytest.skip(message)
    with Browser(program) as found:
        yield found


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    return [
        small_run(folder / "a", "better", is_better=True),
        small_run(folder / "b", "worse", is_better=False),
    ]


@pytest.fixture(scope="module")
def page(runs, tmp_path_factory):
    return write_page(runs, tmp_path_factory.mktemp("page"))


@pytest.fixture(scope="module")
def single(runs, tmp_path_factory):
    return write_page(runs, tmp_path_factory.mktemp("single"), embed=True)
