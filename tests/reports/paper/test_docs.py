from reports.paper.docs import FILE, with_generated


def test_the_page_is_what_the_code_prints():
    text = FILE.read_text(encoding="utf-8")
    assert text == with_generated(text), "run `python -m reports.paper.docs`"
