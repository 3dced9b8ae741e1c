"""The page in real headless Chromium, opened from the file system."""

import shutil

import pytest

from tests.reports.page.made import HOSTILE

KEYS = "UMM.shownRows().map((r) => UMM.store.key(r))"
OPENED = "document.querySelector('#detail').dataset.row"


@pytest.fixture
def samples(browser, page):
    """The list without filters, the first sample selected, none opened; the page is loaded once where it can."""
    browser.messages.clear()
    browser.resize(1280, 860)
    if browser.eval("location.href.split('#')[0]") != page.as_uri():
        browser.open(page, "#samples")
    else:
        browser.eval("location.hash = '#overview'")
        browser.wait("document.body.dataset.view === 'overview'")
        browser.eval("location.hash = '#samples'")
        browser.wait("document.body.dataset.view === 'samples'")
        browser.eval("document.getElementById('list').focus()")
        browser.key("Home")
    yield browser
    assert browser.messages == [], "the page reported errors"


def all_of(selector):
    return f"[...document.querySelectorAll('{selector}')]"


def open_sample(browser, key):
    browser.eval(f"location.hash = '#samples?s=' + encodeURIComponent('{key}')")
    browser.wait(f"{OPENED} === '{key}' && !document.querySelector('#detail').hidden")


def text(browser, selector):
    return browser.eval(f"document.querySelector('{selector}').textContent")


def test_filters_narrow_the_list(samples):
    assert len(samples.eval(KEYS)) == 13
    samples.choose("#f-benchmark", "quiz")
    assert samples.eval(KEYS) == ["quiz|quiz/0|0|0", "quiz|quiz/1|0|0", "quiz|quiz/2|0|0", "quiz|quiz/3|0|0"]
    samples.choose("#f-category", "animals")
    assert samples.eval(KEYS) == ["quiz|quiz/0|0|0", "quiz|quiz/1|0|0"]
    samples.choose("#f-verdict", "right")
    assert samples.eval(KEYS) == ["quiz|quiz/0|0|0"]
    assert text(samples, "#f-count") == "1 of 13"
    samples.click("#f-reset")
    assert len(samples.eval(KEYS)) == 13


def test_the_verdict_of_one_run_can_be_asked_for(samples):
    samples.choose("#f-verdict", "wrong")
    samples.choose("#f-run", "A")
    assert samples.eval(KEYS) == ["refined|refined/0|0|0"]
    samples.choose("#f-run", "B")
    assert samples.eval(KEYS) == ["quiz|quiz/1|0|0", "quiz|quiz/2|0|0", "refined|refined/0|0|0"]


def test_quarters_part_a_graded_benchmark(samples):
    samples.choose("#f-benchmark", "scale")
    samples.choose("#f-run", "B")
    samples.choose("#f-verdict", "q1")
    assert samples.eval(KEYS) == ["scale|scale/0|0|0", "scale|scale/1|0|0", "scale|scale/2|0|0"]
    samples.choose("#f-verdict", "q4")
    assert samples.eval(KEYS) == ["scale|scale/7|0|0"]


def test_missing_only_shows_unanswered_and_failed_samples(samples):
    samples.click("#f-missing")
    assert samples.eval(KEYS) == ["quiz|quiz/1|0|0", "quiz|quiz/3|0|0"]
    chips = all_of(".row:not([hidden]) .chip") + ".map((c) => c.textContent)"
    assert samples.eval(chips) == ["? missing", "✗ wrong · 1 missing", "? missing", "? missing"]


def test_a_missing_sample_tells_its_reason(samples):
    open_sample(samples, "quiz|quiz/3|0|0")
    detail = text(samples, "#detail")
    assert "refused: the policy refused this prompt" in detail
    assert "no image (refused)" in detail


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ("blue DOG", ["quiz|quiz/1|0|0"]),
        ("edit 7", ["scale|scale/7|0|0"]),
        ("thoughts number 0", ["quiz|quiz/0|0|0"]),
        ("nothing like this", []),
    ],
)
def test_search_looks_in_prompts_and_reasoning(samples, words, found):
    samples.key("/")
    samples.write(words)
    samples.wait(f"UMM.store.thoughts !== null && UMM.shownRows().length === {len(found)}")
    assert samples.eval(KEYS) == found


def test_opening_a_sample_shows_its_questions_with_bars(samples):
    samples.click(".row")
    samples.wait(f"{OPENED} === 'quiz|quiz/0|0|0'")
    assert "a red cat" in text(samples, "#detail h2.prompt")
    assert text(samples, ".questions tbody th").startswith("Is it the animal?")
    labels = all_of(".questions tbody tr:first-child .bar") + ".map((b) => b.getAttribute('aria-label'))"
    assert samples.eval(labels) == ["probability 0.900", "probability 0.900"]
    width = "document.querySelector('.questions {}').getBoundingClientRect().width"
    assert samples.eval(width.format(".fill")) / samples.eval(width.format(".track")) == pytest.approx(0.9, abs=0.01)


def test_an_answer_without_a_value_is_shown_as_missing_with_its_error(samples):
    open_sample(samples, "quiz|quiz/1|0|0")
    answer = text(samples, ".questions tbody tr:nth-child(2)")
    assert "? unparsed" in answer
    assert "no answer found" in answer


def test_comparing_two_runs_shows_where_they_disagree(samples):
    samples.choose("#f-benchmark", "quiz")
    samples.choose("#f-differ", "any")
    assert samples.eval(KEYS) == ["quiz|quiz/2|0|0"]
    samples.choose("#f-differ", "B>A")
    assert samples.eval(KEYS) == []
    samples.choose("#f-differ", "A>B")
    samples.click(".row")
    samples.wait(f"{OPENED} === 'quiz|quiz/2|0|0'")
    assert samples.eval("document.querySelectorAll('#detail section.run').length") == 2
    assert samples.eval(all_of("#detail section.run h3 .chip") + ".map((c) => c.textContent)") == [
        "✓ right",
        "✗ 1/2",
    ]
    rows = samples.eval(all_of(".questions tbody tr") + ".map((r) => r.classList.contains('differs'))")
    assert rows == [True, False]


def test_scores_on_a_scale_are_numbers_and_disagree_by_a_quarter_of_it(samples):
    samples.choose("#f-benchmark", "scale")
    samples.choose("#f-differ", "any")
    assert samples.eval(KEYS) == []  # two of ten points apart
    open_sample(samples, "scale|scale/0|0|0")
    assert samples.eval("document.querySelector('.questions .bar')") is None
    assert samples.eval("document.querySelector('.questions .value').textContent") == "2"
    assert "Source image not shown" in text(samples, "#detail")


def test_a_long_structured_answer_is_collapsed_and_cut(samples):
    open_sample(samples, "scale|scale/0|0|0")
    assert samples.eval("document.querySelector('.payload').open") is False
    assert "more characters in judgements.jsonl" in text(samples, ".payload pre")


def test_text_from_data_stays_text_and_runs_nothing(samples):
    open_sample(samples, "quiz|quiz/2|0|0")
    assert text(samples, "#detail h2.prompt") == HOSTILE
    assert HOSTILE in text(samples, "#detail .said p")
    assert HOSTILE in text(samples, "#detail .reply pre")
    samples.wait("document.querySelector('.row:nth-child(4) .prompt') !== null")
    assert samples.eval("window.hurt === undefined")
    assert samples.eval("[...document.images].some((i) => i.getAttribute('src') === 'x')") is False


def test_the_policy_forbids_inline_scripts(browser, page):
    browser.open(page, "#samples")
    browser.eval(
        "(() => {const s = document.createElement('script'); s.textContent = 'window.hurt = 2';"
        "document.body.append(s)})()"
    )
    assert browser.eval("window.hurt === undefined")
    assert any("Content Security Policy" in m for m in browser.messages)
    browser.messages.clear()


def test_a_permalink_restores_filters_and_the_open_sample(samples, page):
    samples.choose("#f-benchmark", "quiz")
    samples.choose("#f-verdict", "wrong")
    samples.choose("#f-order", "low")
    samples.click(".row")
    samples.wait(f"Boolean({OPENED})")
    fragment, rows, opened = samples.eval("location.hash"), samples.eval(KEYS), samples.eval(OPENED)
    samples.open(page, fragment)
    samples.wait(f"{OPENED} === '{opened}'")
    assert samples.eval(KEYS) == rows
    assert samples.eval("['f-benchmark', 'f-verdict', 'f-order'].map((i) => document.getElementById(i).value)") == [
        "quiz",
        "wrong",
        "low",
    ]


def test_the_keyboard_moves_opens_and_closes(samples):
    samples.key("j")
    samples.key("ArrowDown")
    samples.key("k")
    assert samples.eval("UMM.position()") == 1
    samples.key("Enter")
    samples.wait(f"{OPENED} === 'quiz|quiz/1|0|0'")
    samples.key("j")
    samples.wait(f"{OPENED} === 'quiz|quiz/2|0|0'")
    samples.key("Escape")
    assert samples.eval("document.getElementById('detail').hidden")
    assert samples.eval("document.activeElement.id") == "list"
    samples.key("End")
    assert samples.eval("UMM.position()") == 12
    samples.key("?")
    assert samples.eval("document.getElementById('help').open")
    samples.key("Escape")
    assert not samples.eval("document.getElementById('help').open")


def test_keys_typed_into_the_search_move_nothing(samples):
    samples.key("/")
    samples.key("j")
    assert samples.eval("document.getElementById('f-search').value") == "j"
    assert samples.eval("document.activeElement.id") == "f-search"
    samples.key("Escape")
    assert samples.eval("document.activeElement.id") == "list"


def test_the_back_button_closes_an_opened_sample(samples):
    samples.key("Enter")
    samples.wait(f"{OPENED} === 'quiz|quiz/0|0|0'")
    samples.eval("history.back()")
    samples.wait("document.getElementById('detail').hidden")


def test_refined_images_stand_beside_the_first_one(samples):
    open_sample(samples, "refined|refined/0|0|0")
    captions = samples.eval(all_of("section.run:first-child figcaption") + ".map((c) => c.textContent)")
    assert captions[0].startswith("first image")
    assert captions[1].startswith("refined 1")
    samples.wait(all_of("section.run:first-child img") + ".every((i) => i.complete && i.naturalWidth === 48)")
    assert "I see no cube" in text(samples, "#detail")
    assert "probability 0.950" in samples.eval(all_of(".bar") + ".map((b) => b.getAttribute('aria-label')).join()")


def test_a_value_of_the_overview_leads_to_its_samples(browser, page):
    browser.open(page)
    assert text(browser, "#view-overview").count("better") >= 1
    browser.click("a[data-benchmark=quiz]")
    browser.wait("!document.getElementById('view-samples').hidden")
    assert len(browser.eval(KEYS)) == 4
    assert browser.eval("location.hash") == "#samples?b=quiz"


def test_detections_can_be_drawn_on_the_image(samples):
    open_sample(samples, "scale|scale/1|0|0")
    visible = "getComputedStyle(document.querySelector('.overlay')).display"
    assert samples.eval(visible) == "none"
    samples.key("b")
    assert samples.eval(visible) == "block"
    box = "['x', 'y', 'width', 'height'].map((a) => document.querySelector('.overlay rect').getAttribute(a))"
    assert samples.eval(box) == ["10", "20", "50", "60"]
    assert text(samples, ".overlay text") == "cat 0.90"
    samples.key("b")


def test_a_narrow_screen_shows_the_opened_sample_alone(samples):
    samples.resize(400, 700)
    samples.key("Enter")
    samples.wait(f"{OPENED} === 'quiz|quiz/0|0|0'")
    assert samples.eval("document.getElementById('list').getBoundingClientRect().width") == 0
    assert samples.eval("document.documentElement.scrollWidth <= 400")


def test_the_single_file_works_alone(browser, single, tmp_path):
    assert [f.name for f in single.parent.iterdir()] == ["index.html"]
    alone = tmp_path / "moved.html"
    shutil.copy(single, alone)
    browser.messages.clear()
    browser.open(alone, "#samples")
    assert len(browser.eval(KEYS)) == 13
    browser.click(".row")
    browser.wait(f"{OPENED} === 'quiz|quiz/0|0|0'")
    browser.wait(all_of("#detail img") + ".every((i) => i.complete && i.naturalWidth === 48)")
    assert browser.eval("document.querySelectorAll('#detail img').length") == 2
    assert browser.eval("document.querySelectorAll('.questions .bar').length") == 4
    assert browser.eval("performance.getEntriesByType('resource').every((e) => e.name.startsWith('blob:'))")
    open_sample(browser, "quiz|quiz/2|0|0")
    assert browser.eval("window.hurt === undefined")
    assert browser.messages == []


def test_a_moved_page_falls_back_to_thumbnails(browser, page, tmp_path):
    moved = tmp_path / "moved"
    shutil.copytree(page.parent, moved)
    browser.open(moved / "index.html", "#samples")
    browser.click(".row")
    browser.wait("document.querySelector('#detail .thumb.large') !== null")
    assert "the original is not where it was" in text(browser, "#detail")
    browser.messages.clear()
