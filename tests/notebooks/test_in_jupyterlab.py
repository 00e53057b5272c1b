"""The widgets in JupyterLab, in a real browser: a stroke makes a mask, sliders change pictures."""

import io

import numpy as np
import pytest
from PIL import Image

from lab.imaging import read_mask
from lab.selection.votes import read_votes
from tests.reporting.studies import colour_of, write_run, write_study

pytestmark = pytest.mark.slow


def seen(element):
    """The colours that a person sees there."""
    element.scroll_into_view_if_needed()
    return np.asarray(Image.open(io.BytesIO(element.screenshot())).convert("RGB"), float)


def wait_until(page, holds):
    for _ in range(600):
        if holds():
            return
        page.wait_for_timeout(100)
    raise AssertionError("it never came true")


def run_last_cell(page):
    page.evaluate(
        """async () => {
            const { commands } = window.jupyterapp;
            const cells = window.jupyterapp.shell.currentWidget.content;
            cells.activeCellIndex = cells.widgets.length - 1;
            await commands.execute('notebook:run-cell');
        }"""
    )


def drag(page, element, *places):
    """Press at the first place, given in shares of the element, and move to the others."""
    element.scroll_into_view_if_needed()
    box = element.bounding_box()
    for index, (x, y) in enumerate(places):
        page.mouse.move(box["x"] + x * box["width"], box["y"] + y * box["height"], steps=8)
        if index == 0:
            page.mouse.down()
    page.mouse.up()


def test_the_server_asks_for_its_token(lab):
    assert lab.status("") == 403
    assert lab.status("0" * 32) == 403


def test_nobody_is_asked_about_news(lab):
    page = lab.run("05_sweep_results", study="none", trials=0, epochs=0)
    page.wait_for_timeout(3000)
    assert page.get_by_text("Jupyter news").count() == 0


def test_a_stroke_makes_a_mask_undo_takes_it_back_and_the_notebook_uses_it(lab):
    page = lab.run("01_see_masks", size=128, draws=2, output="out")
    painter = page.locator(".lab-widget", has=page.locator("canvas"))
    canvas, summary = painter.locator("canvas"), painter.locator("output")
    assert summary.text_content() == "nothing is painted yet"
    drag(page, canvas, (0.25, 0.5), (0.75, 0.5))
    wait_until(page, lambda: "hole:" in summary.text_content())
    once = summary.text_content()
    drag(page, canvas, (0.5, 0.1), (0.5, 0.3))
    wait_until(page, lambda: summary.text_content() != once)
    painter.get_by_role("button", name="undo").click()
    wait_until(page, lambda: summary.text_content() == once)
    drag(page, canvas, (0.1, 0.85), (0.2, 0.85))
    painter.get_by_role("button", name="eraser").click()
    painter.locator("input[type=range]").fill("12")
    drag(page, canvas, (0.05, 0.85), (0.3, 0.85))
    wait_until(page, lambda: summary.text_content() == once)
    pink = seen(canvas)
    run_last_cell(page)
    written = lab.folder / "notebooks" / "out" / "painted_mask.png"
    wait_until(page, written.exists)
    mask = read_mask(written).mask[0].numpy()
    # The brush begins with a thirtieth of the side as its radius: four pixels of 128.
    rows, columns = mask.nonzero()
    assert columns.min() == pytest.approx(0.25 * 128 - 4, abs=2)
    assert columns.max() == pytest.approx(0.75 * 128 + 4, abs=2)
    assert (rows.min() + rows.max()) / 2 == pytest.approx(64, abs=1)
    assert rows.max() - rows.min() == pytest.approx(8, abs=2)
    # What the browser shows is what the kernel holds: red far above green inside, not around.
    redness = pink[..., 0] - pink[..., 1]
    shown = np.asarray(Image.fromarray(mask).resize(redness.shape[::-1], Image.NEAREST)) == 1
    assert redness[shown].mean() > redness[~shown].mean() + 50


def test_slider_wipe_and_votes_work(lab):
    run = lab.folder / "run"
    write_run(run, ("cat", "lake"), epochs=3, size=96)
    page = lab.run("04_choose_checkpoint", folder=str(run), voter="anna", count=5)

    filled = page.locator(".widget-image").nth(1)
    middle = lambda: seen(filled)[60:100, 60:100].mean(axis=(0, 1))  # noqa: E731
    is_epoch = lambda epoch: abs(middle() - colour_of(0, epoch)).max() < 8  # noqa: E731
    wait_until(page, lambda: is_epoch(3))
    handle = page.locator(".noUi-handle").first
    handle.focus()
    handle.press("ArrowLeft")
    wait_until(page, lambda: is_epoch(2))
    handle.press("ArrowLeft")
    wait_until(page, lambda: is_epoch(1))

    frame = page.locator(".lab-widget .frame", has=page.locator(".line"))
    drag(page, frame, (0.5, 0.5), (0.9, 0.5))
    wait_until(page, lambda: page.locator(".grip").input_value() == "90")
    left = seen(frame)[:, 20:60].mean(axis=(0, 1))
    right = seen(frame)[:, -20:-5].mean(axis=(0, 1))
    assert abs(left - colour_of(0, 1)).max() < 8
    assert abs(right - colour_of(0, 3)).max() < 8
    page.locator(".grip").press("Home")
    wait_until(
        page, lambda: abs(seen(frame)[:, 20:60].mean(axis=(0, 1)) - colour_of(0, 3)).max() < 8
    )

    ballot = page.get_by_role("group", name="vote by the keys")
    ballot.focus()
    cells = page.locator(".jp-Cell").count()
    for key in ("1", "2", "u", "0"):
        ballot.press(key)
    ballot.get_by_role("button", name="left is better").click()
    wait_until(page, lambda: len(read_votes(run)) == 3)
    assert sorted(vote.choice for vote in read_votes(run)) == ["left", "left", "tie"]
    assert page.locator(".jp-Cell").count() == cells, "keys are no commands of the notebook"
    assert "epoch" not in ballot.inner_text()


def test_a_studys_plots_are_drawn(lab):
    study = write_study(lab.folder / "weights", trials=5, epochs=2)
    page = lab.run("05_sweep_results", study=str(study))
    page.locator(".js-plotly-plot svg.main-svg").first.wait_for()
    # Parallel coordinates, importance, history, slices.
    wait_until(page, lambda: page.locator(".js-plotly-plot").count() == 4)
    assert page.locator(".jp-RenderedMarkdown", has_text="Best by hole_ssim").count() == 1
