"""The verdict, the board and the curves in a real browser, and what a person may choose there."""

import re
import shutil
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from lab.reporting import write_report
from lab.results import open_study
from lab.selection.guards import ALIVE
from tests.reporting.seeing import is_colour, left_and_right, set_slider, wait_for_pictures
from tests.reporting.studies import add_pruned, best_at, colour_of, write_baseline, write_study

LOGITS = ("real_logit", "fake_logit")
PHOTOS = tuple(f"photo-{number}" for number in range(8))


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """Eight scored photos, seven of them pictured; the best trial is best at its second epoch."""
    folder = write_study(tmp_path_factory.mktemp("runs") / "weights", photos=PHOTOS)
    write_baseline(folder / "baselines" / "Navier-Stokes", PHOTOS, quality=0.02)
    pruned = add_pruned(folder, PHOTOS)
    best_at(folder / "trials" / "trial-002", 2)
    # Photos on which trial 0 is better and worse than elsewhere, and one that all do badly.
    table = folder / "trials" / "trial-000" / "photos.csv"
    scores = pd.read_csv(table)
    scores.loc[scores["sample"] == "photo-5", "hole_ssim"] += 0.4
    scores.loc[scores["sample"] == "photo-1", "hole_ssim"] -= 0.2
    scores.to_csv(table, index=False)
    for run in [*folder.glob("trials/*"), *folder.glob("baselines/*")]:
        shutil.rmtree(run / "visuals" / "photo-7")
    assert pruned.exists()
    return folder


@pytest.fixture(scope="module")
def report(study, tmp_path_factory):
    output = tmp_path_factory.mktemp("report") / "review"
    write_report(open_study(study), output)
    return output / "index.html"


def rows_of(page):
    """The verdict's rows: what each run is called and all that its row says."""
    rows = page.eval_on_selector_all(
        "#result li.forest-row", "rows => rows.map(row => [row.dataset.run, row.textContent])"
    )
    return dict(rows)


def test_the_verdict_shows_every_interval_against_the_reference(study, report, open_page):
    page = open_page(report).page
    opened = open_study(study)
    rows = rows_of(page)
    assert next(iter(rows)) == "baselines/Telea", "classical methods too, best first"
    assert set(rows) == {run.name for run in opened.runs}
    for run in opened.runs:
        if run is opened.reference:
            continue
        found = opened.compare(run, opened.reference)
        assert found.interval in rows[run.name]
        words = "no clear difference" if found.verdict == "no difference" else found.verdict
        assert words in rows[run.name]
    assert "pruned" in rows["trial-003"]
    assert "reference" in rows["trial-000"]
    # Over photos, of one training each.
    said = page.locator("#result").text_content()
    assert "over 8 photos" in said
    assert "One training each (seeds 0, 1, 2 and 3)" in said
    assert "Telea, which needs no training, is clearly better than every trial here" in said


def test_the_verdicts_marks_stand_where_their_numbers_say(study, report, open_page):
    page = open_page(report).page
    places = page.eval_on_selector_all(
        "#result li.forest-row",
        """rows => rows.map(row => {
            const middle = node => node && node.getBoundingClientRect().x
                + node.getBoundingClientRect().width / 2;
            const range = row.querySelector('.range')?.getBoundingClientRect();
            return [row.dataset.run, middle(row.querySelector('.zero')),
                middle(row.querySelector('.mark')), range?.left, range?.right];
        })""",
    )
    opened = open_study(study)
    leads = {
        run.name: opened.compare(run, opened.reference)
        for run in opened.runs
        if run is not opened.reference
    }
    drawn = {name: rest for name, *rest in places}
    telea, reference = drawn["baselines/Telea"], drawn["trial-000"]
    assert reference[1] == pytest.approx(reference[0], abs=1), "what all are compared with is 0"
    scale = (telea[1] - telea[0]) / leads["baselines/Telea"].mean
    for name, found in leads.items():
        zero, _, left, right = drawn[name]
        assert left - zero == pytest.approx(found.low * scale, abs=2)
        assert right - zero == pytest.approx(found.high * scale, abs=2)


def test_another_metric_moves_the_verdict_and_the_values_under_the_pictures(
    study, report, open_page
):
    page = open_page(report).page
    page.get_by_label("Another metric").select_option("hole_psnr")
    opened = open_study(study)
    found = opened.compare(opened.ranked[0], opened.reference, "hole_psnr")
    assert found.interval in rows_of(page)[opened.ranked[0].name]
    page.locator(".grid").scroll_into_view_if_needed()
    page.locator("figcaption .values", has_text="hole_psnr").first.wait_for()


def test_runs_that_are_not_chosen_leave_verdict_board_and_curves(report, open_page):
    page = open_page(report).page
    assert page.locator("#curves .chart").first.locator("path.run").count() == 4
    page.locator("#table summary", has_text="Runs: all 6").click()
    page.locator("#table .menu label", has_text="trial 1").locator("input").uncheck()
    assert "trial-001" not in rows_of(page)
    assert page.locator("#table tr[data-run=trial-001]").count() == 0
    assert page.locator("#curves .chart").first.locator("path.run").count() == 3
    assert page.locator("#result summary", has_text="Runs: 5 of 6").count() == 1, "all say the same"
    page.locator("#table .menu").get_by_role("button", name="Only finished").click()
    assert "trial-003" not in rows_of(page)
    assert "trial-001" in rows_of(page)
    page.keyboard.press("Escape")
    assert not page.locator("#table .menu[open]").count()


def test_what_tells_no_run_from_another_is_not_told(tmp_path, open_page):
    study = open_study(write_study(tmp_path / "weights"))
    always, where_asked = {"data.crops": 3}, {"model.judge_steps": 5}
    runs = [
        replace(run, values=run.values and run.values | always | (where_asked if last else {}))
        for run, last in ((run, run.name == "trial-002") for run in study.runs)
    ]
    write_report(replace(study, runs=runs), tmp_path / "page")
    page = open_page(tmp_path / "page" / "index.html").page
    result = page.locator("#result").inner_text()
    assert result.count("hole_l1 ") == 3, "every trial by what it differs in"
    assert "crops" not in result
    assert "judge_steps" not in result
    heads = page.locator("#table thead th").all_text_contents()
    assert "ms_ssim" in heads
    assert "crops" not in heads


def test_the_board_has_its_verdict_and_the_columns_that_are_chosen(study, report, open_page):
    page = open_page(report).page
    heads = lambda: page.locator("#table thead th").all_text_contents()  # noqa: E731
    assert {"verdict", "Δ hole_ssim", "won", "hole_ssim ↑", "best epoch"} <= set(heads())
    opened = open_study(study)
    best = opened.ranked[0]
    row = page.locator(f"#table tr[data-run={best.name}]")
    assert opened.compare(best, opened.reference).interval in row.text_content()
    telea = page.locator("#table tr[data-run='baselines/Telea'] .said")
    assert telea.text_content() == "better"
    assert "2 of 4" in row.text_content(), "its best epoch"
    page.locator("#table summary", has_text="Columns").click()
    page.locator("#table .menu label", has_text="Δ rim_ssim").locator("input").check()
    page.locator("#table .menu label", has_text="won").locator("input").uncheck()
    assert "Δ rim_ssim" in heads()
    assert "won" not in heads()
    page.locator("#table .menu").get_by_role("button", name="Usual").click()
    assert "won" in heads()


def test_losses_are_curves_with_the_judges_logits(report, open_page):
    page = open_page(report).page
    charts = page.locator("#losses .chart")
    titles = charts.locator("h3").all_text_contents()
    assert titles == ["total", "judge’s loss", "judge’s logits", "hole_l1"]
    logits = charts.nth(2)
    lines = logits.locator("g title").all_text_contents()
    assert "trial 2, true photos: 1: 0.5  2: 1  3: 1.5  4: 2" in lines
    assert "trial 2, completed photos: 1: -0.25  2: -0.5  3: -0.75  4: -1" in lines
    assert logits.locator("path.dashed").count() == logits.locator("path.run").count() / 2
    assert logits.locator("svg > text", has_text="0: undecided").count() == 1
    assert page.locator("#losses p").nth(1).text_content() == ALIVE["hinge"].logits


def test_how_hard_each_term_pulls_is_drawn_on_one_axis(tmp_path, open_page):
    folder = write_study(tmp_path / "pulled", trials=2, photos=("cat",))
    for trial in sorted((folder / "trials").iterdir()):
        losses = pd.read_csv(trial / "losses.csv")
        pulls = {"gradient/hole_l1": 2.0 / losses["epoch"], "gradient/style": 0.002}
        losses.assign(**pulls).to_csv(trial / "losses.csv", index=False)
    write_report(open_study(folder), tmp_path / "page")
    page = open_page(tmp_path / "page" / "index.html").page
    assert page.locator("#losses h3", has_text="How hard each term pulls").count() == 1
    strong, weak = page.locator("#losses .charts").nth(1).locator(".chart").all()
    assert [each.locator("h3").text_content() for each in (strong, weak)] == ["hole_l1", "style"]
    assert "trial 0: 1: 2  2: 1  3: 0.667  4: 0.5" in strong.locator("g title").all_text_contents()
    ticks = [each.locator("svg > text").all_text_contents() for each in (strong, weak)]
    assert ticks[0] == ticks[1]
    height = [
        float(each.locator("path.run").first.get_attribute("d").split("L")[0].split()[1])
        for each in (strong, weak)
    ]
    assert height[1] - height[0] > 100  # three powers of ten below


def test_how_far_steps_go_is_drawn_apart_from_the_losses(tmp_path, open_page):
    folder = write_study(tmp_path / "moved", trials=2, photos=("cat",))
    for trial in sorted((folder / "trials").iterdir()):
        losses = pd.read_csv(trial / "losses.csv")
        updates = {"update/judges": 0.02, "update/network": 0.004 / losses["epoch"]}
        losses.assign(**updates).to_csv(trial / "losses.csv", index=False)
    write_report(open_study(folder), tmp_path / "page")
    page = open_page(tmp_path / "page" / "index.html").page
    headings = page.locator("#losses > h3").all_text_contents()
    assert headings == ["How far a step moves the weights"]
    judges, network = page.locator("#losses .charts").nth(1).locator(".chart").all()
    titles = [each.locator("h3").text_content() for each in (judges, network)]
    assert titles == ["judges", "network"]
    lines = network.locator("g title").all_text_contents()
    assert "trial 0: 1: 0.004  2: 0.002  3: 0.00133  4: 0.001" in lines
    assert "update" not in page.locator("#losses .charts").first.text_content()


def test_a_photo_that_each_run_saw_with_another_hole_is_one_picture(tmp_path, open_page):
    folder = write_study(tmp_path / "strengths", trials=2, photos=("cat", "lake"))
    shutil.rmtree(folder / "baselines")
    own = folder / "trials" / "trial-001" / "visuals" / "cat"
    pixels = np.asarray(Image.open(own / "truth.png")).copy()
    pixels[:8, :8] = (237, 38, 158)
    Image.fromarray(pixels).save(own / "hole.png")
    write_report(open_study(folder), tmp_path / "page")
    page = open_page(tmp_path / "page" / "index.html").page
    assert page.locator(".grid figure .name").all_text_contents() == ["cat", "lake"]
    assert page.locator(".grid figcaption", has_text="each run’s own hole").count() == 1
    cell = page.locator(".grid figure").first
    cell.scroll_into_view_if_needed()
    sources = []
    for run in ("trial-000", "trial-001"):
        page.get_by_label("A: run").select_option("#hole")
        page.get_by_label("B: run").select_option(run)
        for side in "ab":
            wait_for_pictures(page, f".grid figure:first-child .layer.{side} img:first-child")
            picture = cell.locator(f".layer.{side} img").first
            sources.append(picture.get_attribute("src"))
        assert cell.locator(".none").text_content() == ""
    first, _, second, _ = sources
    assert first != second, "the hole beside each run is its own"
    page.get_by_label("A: run").select_option("trial-000")
    assert cell.locator(".none").text_content() == ""


def test_every_judge_has_its_logits_and_every_adversarial_loss_its_words(tmp_path, open_page):
    folder = write_study(tmp_path / "judged", trials=3, photos=("cat",))
    said = "model: {init_args: {objective: {init_args: {adversarial_kind: %s}}}}\n"
    kinds = ("wasserstein", "least_squares", "least_squares")
    for trial, kind in zip(sorted((folder / "trials").iterdir()), kinds, strict=True):
        (trial / "config.yaml").write_text(said % kind)
    losses = pd.read_csv(folder / "trials" / "trial-000" / "losses.csv")
    local = {f"local_{name}": 2 * losses[name] for name in ("discriminator", *LOGITS)}
    losses.assign(**local).to_csv(folder / "trials" / "trial-000" / "losses.csv", index=False)
    only_known = pd.read_csv(folder / "trials" / "trial-002" / "losses.csv")[["epoch", "total"]]
    only_known.to_csv(folder / "trials" / "trial-002" / "losses.csv", index=False)
    write_report(open_study(folder), tmp_path / "page")
    page = open_page(tmp_path / "page" / "index.html").page

    charts = {
        chart.locator("h3").text_content(): chart for chart in page.locator("#losses .chart").all()
    }
    of_local = charts["local judge’s logits"]
    lines = of_local.locator("g title").all_text_contents()
    assert "trial 0, true photos: 1: 1  2: 2  3: 3  4: 4" in lines
    assert of_local.locator("path.run").count() == 2
    assert charts["whole judge’s logits"].locator("path.run").count() == 4
    assert {"whole judge’s loss", "local judge’s loss"} < set(charts)
    paragraphs = page.locator("#losses p")
    assert sorted(paragraphs.all_text_contents()[1:]) == [
        f"least squares: {ALIVE['least_squares'].logits}",
        f"wasserstein: {ALIVE['wasserstein'].logits}",
    ]
    levels = charts["whole judge’s logits"].locator("svg > text", has_text="undecided")
    assert levels.all_text_contents() == ["0.5: undecided"]

    page.locator("#table summary", has_text="Runs: all").click()
    page.locator("#table .menu label", has_text="trial 1").locator("input").uncheck()
    assert paragraphs.all_text_contents()[1:] == [ALIVE["wasserstein"].logits]
    assert page.locator("#losses svg > text", has_text="undecided").count() == 0


def test_pictures_open_at_each_runs_best_epoch(report, open_page):
    page = open_page(report).page
    a, b = left_and_right(page)
    assert is_colour(a, colour_of(0, 2, trial=2)), "trial 2 is best after two epochs"
    assert is_colour(b, colour_of(0, 4, trial=0)), "trial 0 after four"
    set_slider(page, 3)
    a, b = left_and_right(page)
    assert is_colour(a, colour_of(0, 3, trial=2)), "the slider takes both along"
    assert is_colour(b, colour_of(0, 3, trial=0))
    page.get_by_role("button", name="Best epochs").click()
    assert is_colour(left_and_right(page)[0], colour_of(0, 2, trial=2))


def test_photos_come_in_the_order_that_is_chosen_and_more_on_demand(report, open_page):
    page = open_page(report).page
    names = lambda: page.locator(".grid figcaption .name").all_text_contents()  # noqa: E731
    assert names() == list(PHOTOS[:6])
    order = page.get_by_label("Order of the photos")
    order.select_option("loses")
    assert names()[0] == "photo-5", "where trial 0, which is B, is better than elsewhere"
    order.select_option("wins")
    assert names()[0] == "photo-1"
    order.select_option("-hole")
    assert names()[0] == "photo-6", "the largest hole of those that are pictured"
    order.select_option("worst")
    assert names()[0] == "photo-0", "scores grow with the photo's number"
    page.get_by_role("button", name="All 7 pictured photos").click()
    page.locator(".grid figcaption .name").nth(6).wait_for()
    assert len(names()) == 7
    listed = page.locator("#samples tbody tr td:first-child").all_text_contents()
    assert listed == sorted(PHOTOS), "the list follows, and has the one that is not pictured"
    command = page.locator("#samples pre").text_content()
    assert re.fullmatch(r"python -m lab\.report \S+weights --sample photo-7", command)


@pytest.mark.parametrize("width", [400, 1280])
def test_menus_open_within_the_window(report, open_page, width):
    page = open_page(report, viewport={"width": width, "height": 900}).page
    summaries = page.locator(".menu > summary")
    assert summaries.count() == 4
    for index in range(4):
        summaries.nth(index).click()
        box = page.locator(".menu[open] .panel").bounding_box()
        assert 0 <= box["x"] < box["x"] + box["width"] <= width
        page.keyboard.press("Escape")


@pytest.mark.parametrize("width", [400, 1280])
def test_what_is_selected_can_be_read(report, open_page, width):
    page = open_page(report, viewport={"width": width, "height": 900}).page
    page.get_by_label("Order of the photos").select_option("loses")
    for epoch in ("best", "slider", "4"):
        page.get_by_label("A: epoch").select_option(epoch)
        found = page.eval_on_selector_all(
            "#pictures select",
            """selects => selects.map(select => {
                const style = getComputedStyle(select);
                const drawing = document.createElement('canvas').getContext('2d');
                drawing.font = style.font;
                const arrow = 18; // of Chromium's own drawing
                return [select.getAttribute('aria-label'),
                    drawing.measureText(select.selectedOptions[0].text).width,
                    select.clientWidth - parseFloat(style.paddingLeft)
                        - parseFloat(style.paddingRight) - arrow];
            })""",
        )
        assert len(found) == 9
        for label, needed, there in found:
            assert needed <= there, f"{label} is cut off with {epoch}"
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_a_caveat_stands_above_the_plots_of_few_trials(report, open_page):
    page = open_page(report).page
    said = page.locator("#weights .caution").text_content()
    assert said.startswith("3 finished trials over 3 options are few")


def test_an_open_page_shows_what_is_written_anew_and_stays_where_it_was(study, tmp_path, open_page):
    folder = tmp_path / "weights"
    shutil.copytree(study, folder)
    write_report(open_study(folder), tmp_path / "page", serial=7)
    page = open_page(tmp_path / "page" / "index.html").page
    page.get_by_label("Another metric").select_option("rim_ssim")
    page.get_by_label("A: run").select_option("trial-001")
    page.get_by_label("A: run").blur()
    add_pruned(folder, PHOTOS)
    write_report(open_study(folder), tmp_path / "page", serial=8)
    page.locator("#table tr[data-run=trial-004]").wait_for(state="attached", timeout=20_000)
    assert page.get_by_label("A: run").input_value() == "trial-001"
    assert page.get_by_label("Another metric").input_value() == "rim_ssim"
