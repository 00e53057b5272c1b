"""The review page in a real browser: it shows what is on disk, by mouse and by keyboard, offline.

Every test ends with `open_page` checking that nothing was written to the console and that no
request left the page's own folder.
"""

import json
import time
from dataclasses import replace

import pytest

from lab.reporting import write_report
from lab.results import open_study
from lab.selection.votes import pair_id, read_votes
from tests.reporting.seeing import is_colour, left_and_right, seen, set_slider, wait_for_pictures
from tests.reporting.studies import (
    colour_of,
    write_baseline,
    write_run,
    write_study,
    write_study_with_knee,
)
from tests.timing import least_of_three

HOSTILE = '"><img src=x onerror=alert(1)><script>alert(1)<⁄script>'


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    return write_study(tmp_path_factory.mktemp("runs") / "weights", trials=3, epochs=4)


@pytest.fixture(scope="module", params=["folder", "single file"])
def report(study, tmp_path_factory, request):
    output = tmp_path_factory.mktemp("report")
    if request.param == "folder":
        write_report(open_study(study), output / "review")
        return output / "review" / "index.html"
    write_report(open_study(study), output / "review.html", single_file=True)
    return output / "review.html"


def test_the_slider_changes_all_pictures_together(report, open_page):
    page = open_page(report).page
    for epoch in (1, 4, 2):
        set_slider(page, epoch)
        for photo in (0, 1):
            a, b = left_and_right(page, photo)
            # A begins as the best trial, the last; B as the one that the question names.
            assert is_colour(a, colour_of(photo, epoch, trial=2))
            assert is_colour(b, colour_of(photo, epoch, trial=0))
        assert page.locator("output").text_content() == f"Epoch {epoch} of 4"


def test_of_several_goals_the_page_opens_with_the_knee_beside_the_reference(tmp_path, open_page):
    study = open_study(write_study_with_knee(tmp_path / "weights"))
    write_report(study, tmp_path / "report")
    page = open_page(tmp_path / "report" / "index.html").page
    a, b = (page.get_by_label(f"{side}: run") for side in "AB")
    assert a.locator("option:checked").text_content() == "trial 1 (knee)"
    assert b.locator("option:checked").text_content() == "trial 0 (best hole_ssim)"
    assert is_colour(left_and_right(page)[0], colour_of(0, 4, trial=1))
    assert page.get_by_text("knee · ").count() == 1


def test_the_slider_works_by_keyboard(report, open_page):
    page = open_page(report).page
    set_slider(page, 3)
    page.locator("#epoch").press("ArrowLeft")
    assert page.locator("output").text_content() == "Epoch 2 of 4"
    page.locator("body").press(".")
    assert page.locator("output").text_content() == "Epoch 3 of 4"
    assert is_colour(left_and_right(page)[0], colour_of(0, 3, trial=2))


def test_two_epochs_two_trials_and_two_stages_can_be_compared(report, open_page):
    page = open_page(report).page
    page.get_by_label("B: run").select_option("trial-002")
    page.get_by_label("B: epoch").select_option("1")
    set_slider(page, 4)
    a, b = left_and_right(page)
    assert is_colour(a, colour_of(0, 4, trial=2))
    assert is_colour(b, colour_of(0, 1, trial=2))
    page.get_by_label("B: run").select_option("trial-001")
    page.get_by_label("B: epoch").select_option("slider")
    page.get_by_label("B: stage").select_option("coarse")
    assert is_colour(left_and_right(page)[1], colour_of(0, 4, "coarse", trial=1))


def test_the_wipe_follows_the_mouse_in_every_picture(report, open_page):
    page = open_page(report).page
    set_slider(page, 4)
    frame = page.locator(".cell").first
    frame.scroll_into_view_if_needed()
    box = frame.bounding_box()
    middle = box["y"] + box["height"] / 2
    page.mouse.move(box["x"] + box["width"] / 2, middle)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.02, middle, steps=4)
    page.mouse.up()
    for photo in (0, 1):
        a, b = left_and_right(page, photo)
        # The rule stands at the left rim, its knob reaches over it: nearly all is B.
        assert is_colour(b, colour_of(photo, 4, trial=0))
        assert is_colour(a, colour_of(photo, 4, trial=0))
    assert float(frame.get_attribute("aria-valuenow")) == pytest.approx(2, abs=2)


def test_the_wipe_and_the_zoom_work_by_keyboard(report, open_page):
    page = open_page(report).page
    frame = page.locator(".cell").first
    frame.focus()
    for _ in range(3):
        frame.press("ArrowRight")
    assert frame.get_attribute("aria-valuenow") == "56"
    frame.press("End")
    a, b = left_and_right(page)
    assert is_colour(b, a), "at its end, the wipe shows A alone"
    frame.press("+")
    frame.press("Shift+ArrowLeft")
    transforms = page.eval_on_selector_all(
        ".layer img[src]",
        """images => images.map(image => {
            const at = new DOMMatrix(getComputedStyle(image).transform);
            return [at.a, at.e / image.clientWidth, at.f / image.clientHeight];
        })""",
    )
    # Zoomed about the middle, then panned to the left by a tenth.
    for transform in transforms:
        assert transform == pytest.approx([1.5, -0.25 + 0.1, -0.25], abs=0.01), "all in step"
    frame.press("0")
    assert page.locator(".grid.zoomed").count() == 0


def test_the_difference_of_a_picture_with_itself_is_black(report, open_page):
    page = open_page(report).page
    page.get_by_label("Difference").select_option("between")
    page.get_by_label("B: run").select_option("trial-002")
    for colour in left_and_right(page):
        assert colour.max() < 2
    page.get_by_label("A: run").select_option("#truth")
    page.get_by_label("Difference").select_option("against")
    assert left_and_right(page)[0].max() < 2, "the truth differs nowhere from itself"


def test_the_outline_shows_the_hole(report, open_page):
    page = open_page(report).page
    before = seen(page, ".grid figure:nth-child(1) .cell")
    page.get_by_label("outline of the hole").check()
    wait_for_pictures(page, ".grid figure:nth-child(1) img.outline")
    after = seen(page, ".grid figure:nth-child(1) .cell")
    changed = abs(after - before).max(axis=2) > 20
    height, width = changed.shape
    # The hole reaches from a quarter to a half of the height and width.
    rows, columns = changed.nonzero()
    assert rows.min() == pytest.approx(height / 4, abs=height / 30)
    assert rows.max() == pytest.approx(height / 2, abs=height / 30)
    assert columns.min() == pytest.approx(width / 4, abs=width / 30)
    assert not changed[height * 3 // 8 - 5 : height * 3 // 8 + 5, width * 3 // 8 :][:, :10].any()


def test_the_table_sorts_and_a_row_becomes_side_a(report, open_page):
    page = open_page(report).page
    labels = lambda: page.locator("#table tbody .label").all_text_contents()  # noqa: E731
    assert labels()[0].startswith("trial 2")
    page.locator("#table th button", has_text="hole_ssim ↑").click()
    assert labels()[0].startswith("trial 0"), "upwards first"
    page.locator("#table th button", has_text="hole_ssim ↑").click()
    assert labels()[0].startswith("Telea"), "then downwards; baselines are rows too"
    page.locator("#table tr[data-run=trial-001]").press("Enter")
    assert page.get_by_label("A: run").input_value() == "trial-001"


def test_optunas_plots_are_drawn_when_they_come_into_view(report, open_page):
    page = open_page(report).page
    assert page.evaluate("typeof window.Plotly") == "undefined", "not before"
    for title in ("Parallel coordinates", "Slices", "History"):
        plot = page.locator(".plot", has=page.get_by_role("heading", name=title))
        plot.scroll_into_view_if_needed()
        plot.locator("svg.main-svg").first.wait_for()
    assert "hole_l1" in page.locator("#weights").text_content()


def test_a_vote_is_recorded_downloaded_and_read_back(study, report, open_page, tmp_path):
    opened = open_page(report)
    page = opened.page
    page.get_by_label("Your name").fill("not a name!")
    page.get_by_role("button", name="Begin").click()
    assert "letters" in page.get_by_role("alert").text_content()
    page.get_by_label("Your name").fill("anna")
    page.get_by_role("button", name="Begin").click()
    ballot = page.locator(".ballot")
    for word in ("trial", "epoch-0"):
        hidden = [image.get_attribute("alt") for image in ballot.locator("img").all()]
        assert not any(word in text for text in [*hidden, ballot.text_content()]), "votes are blind"
    ballot.press("1")
    ballot.press("ArrowRight")
    ballot.press("u")
    ballot.press("0")
    page.get_by_role("button", name="Right is better").click()
    page.get_by_role("button", name="End and see").click()
    with page.expect_download() as download:
        page.get_by_role("button", name="Download anna.jsonl").click()
    assert download.value.suggested_filename == "anna.jsonl"
    votes = study / "votes"
    votes.mkdir(exist_ok=True)
    download.value.save_as(votes / "anna.jsonl")
    try:
        lines = [json.loads(line) for line in (votes / "anna.jsonl").read_text().splitlines()]
        assert [line["choice"] for line in lines] == ["left", "tie", "right"]
        for line in lines:
            assert line["pair"] == pair_id(line["photo"], line["left"], line["right"])
        assert len(read_votes(study)) == 3, "the project's own reader takes the file"
    finally:
        (votes / "anna.jsonl").unlink()


def test_names_from_disk_harm_nothing(tmp_path, open_page):
    folder = write_study(
        tmp_path / "it's <b>bold</b> & $data", photos=(HOSTILE, "</style>".replace("/", "⁄"))
    )
    for output, single in ((tmp_path / "out", False), (tmp_path / "out.html", True)):
        write_report(open_study(folder), output, single_file=single)
        opened = open_page(output if single else output / "index.html")
        names = opened.page.locator("figcaption .name").all_text_contents()
        assert HOSTILE in names, "it is shown as it is"
        assert opened.page.locator("h1").text_content() == "Does it matter <b>how</b> much?"
        assert opened.page.locator("main img[src=x]").count() == 0


def test_everything_fits_a_phone_and_a_dark_scheme(report, open_page):
    page = open_page(report, viewport={"width": 400, "height": 800}, color_scheme="dark").page
    page.locator(".plot").first.scroll_into_view_if_needed()
    assert page.evaluate("document.documentElement.scrollWidth") <= 400
    paper, ink = page.evaluate(
        "[getComputedStyle(document.body).backgroundColor, getComputedStyle(document.body).color]"
    )
    assert brightness(paper) < 60 < 180 < brightness(ink)


def brightness(colour):
    return sum(map(int, colour.strip("rgb()").split(","))) / 3


def test_every_picture_has_a_text_alternative(report, open_page):
    page = open_page(report).page
    page.locator(".grid").scroll_into_view_if_needed()
    set_slider(page, 2)
    alternatives = page.eval_on_selector_all(
        ".layer img:not(.truth):not(.outline)", "images => images.map(image => image.alt)"
    )
    assert "A: cat, trial 2, completed, epoch 2" in alternatives
    assert all(alternatives)


def test_a_baseline_can_be_compared_with_a_trial(tmp_path, open_page):
    folder = write_study(tmp_path / "weights")
    write_report(open_study(folder), tmp_path / "page")
    page = open_page(tmp_path / "page" / "index.html").page
    assert page.locator("#table tr[data-run='baselines/Telea']").count() == 1
    page.get_by_label("B: run").select_option("baselines/Telea")
    for epoch in (1, 4):
        set_slider(page, epoch)
        a, b = left_and_right(page)
        assert is_colour(a, colour_of(0, epoch, trial=2))
        assert is_colour(b, colour_of(0, 0)), "it has one epoch, whatever the slider says"
    assert page.locator("#curves .base").count() > 0, "a line, not a curve"
    page.locator("#reproduce select").select_option("baselines/Telea")
    assert "lab.train" not in page.locator("#reproduce").text_content()


def test_a_study_that_only_scores_has_no_curves_and_no_epochs_to_choose(tmp_path, open_page):
    write_report(open_study(write_study(tmp_path / "weights", epochs=1)), tmp_path / "page")
    page = open_page(tmp_path / "page" / "index.html").page
    assert page.locator("#curves").count() == 0
    assert page.locator("#epoch").count() == 0
    assert "1 epoch" in page.locator("#head").inner_text()
    assert "best epoch" not in page.locator("#result").inner_text()
    for part in ("table", "pictures", "samples"):
        assert "epoch" not in page.locator(f"#{part}").inner_text(), part
    assert is_colour(left_and_right(page)[0], colour_of(0, 1, trial=2))


def test_of_methods_alone_the_page_opens_with_the_best(tmp_path, open_page):
    folder = write_study(tmp_path / "methods", trials=1)
    write_baseline(folder / "baselines" / "Navier-Stokes", ("cat", "lake"), quality=0.1)
    study = open_study(folder)
    write_report(replace(study, runs=study.baselines, optuna_study=None), tmp_path / "page")
    page = open_page(tmp_path / "page" / "index.html").page
    chosen = page.get_by_label("A: run")
    assert chosen.input_value() == "baselines/Telea"
    assert chosen.locator("option:checked").text_content() == "Telea (best)"
    assert page.locator("option", has_text="(best)").count() == 2, "of either side's choice"
    assert "epoch" not in page.locator("#head").inner_text()


def test_a_single_run_is_shown_too(tmp_path, open_page):
    write_run(tmp_path / "alone", ("cat", "lake"), epochs=3)
    write_report(open_study(tmp_path / "alone"), tmp_path / "page")
    page = open_page(tmp_path / "page" / "index.html").page
    set_slider(page, 3)
    a, b = left_and_right(page)
    assert is_colour(a, colour_of(0, 1)), "A stays at the first epoch"
    assert is_colour(b, colour_of(0, 3)), "B follows the slider"
    assert page.locator("#weights").count() == 0


@pytest.mark.slow
@pytest.mark.parametrize("single", [False, True])
def test_forty_trials_of_twelve_epochs_and_six_photos_open_in_three_seconds(
    tmp_path, open_page, single
):
    folder = write_study(
        tmp_path / "big", trials=40, epochs=12, photos=[f"photo-{n}" for n in range(6)], size=64
    )
    output = tmp_path / ("big.html" if single else "big-report")
    write_report(open_study(folder), output, single_file=single)

    def seconds_to_open():
        nonlocal opened
        start = time.monotonic()
        opened = open_page(output if single else output / "index.html")
        opened.page.locator("#table tbody tr").nth(39).wait_for(state="attached")
        return time.monotonic() - start

    def longest_frame():
        opened.page.reload()  # a second walk is over pictures that are not loaded yet, too
        opened.page.locator("#table tbody tr").nth(39).wait_for(state="attached")
        return opened.page.evaluate(walk)

    opened = None
    assert least_of_three(seconds_to_open, 3.0) < 3.0
    files = [url for url in opened.requests if url.startswith("file:") and url.endswith(".png")]
    assert len(files) <= 12, "pictures load when they are needed"
    set_slider(opened.page, 5)
    assert is_colour(left_and_right(opened.page)[0], colour_of(0, 5, trial=39))
    # Scrolling: no frame of a walk through the whole page takes longer than a quarter of a second.
    walk = """async () => {
            const plots = document.querySelector('#weights');
            let longest = 0, last = performance.now();
            for (let y = 0; y < document.documentElement.scrollHeight; y += 120) {
                scrollTo(0, y);
                await new Promise(requestAnimationFrame);
                const now = performance.now();
                // plotly is loaded once, before the plots come into view; what is meant is the rest
                if (plots.getBoundingClientRect().top < innerHeight + 400) break;
                longest = Math.max(longest, now - last);
                last = now;
            }
            return longest;
        }"""
    assert least_of_three(longest_frame, 250) < 250
