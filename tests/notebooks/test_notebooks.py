"""Every notebook from top to bottom, with tiny settings, and what it made.

Each test starts a kernel that imports PyTorch, so all are slow.
"""

import numpy as np
import pytest
from PIL import Image

from lab.data import read_evaluation_set
from lab.imaging import read_mask
from lab.results import findings, open_study
from lab.selection.votes import add_vote, completions_of, draw_pairs, vote
from tests.notebooks.running import TINY_RUN, run_notebook
from tests.tiny import PROJECT, fit_tiny

pytestmark = pytest.mark.slow

SWEEPS = PROJECT / "sweeps"
CAMPUS = PROJECT.parent / "shared" / "data" / "clip" / "campus.avi"


def test_01_shows_masks_and_uses_a_painted_one(tmp_path):
    painted = [{"kind": "brush", "radius": 10, "points": [[32, 20], [32, 50]]}]
    share, printed = run_notebook(
        "01_see_masks",
        tmp_path,
        "[float(mask.mean()), float((filled != photo).any(0, keepdim=True)[mask == 0].any())]",
        size=64,
        draws=2,
        strokes=painted,
        output="out",
    )
    written = read_mask(tmp_path / "out" / "painted_mask.png")
    # A line of 30 pixels, 20 wide, with round ends.
    assert share[0] * 64**2 == pytest.approx(30 * 20 + np.pi * 10**2, rel=0.1)
    assert float(written.mask.mean()) == pytest.approx(share[0])
    assert share[1] == 0, "known pixels stay"
    assert "black marks" in printed, "the polarity's warning"


def test_01_asks_for_a_hole_where_none_is_painted(tmp_path):
    _, printed = run_notebook("01_see_masks", tmp_path, size=64, draws=1, output="out")
    assert "Paint a hole above first" in printed
    assert not (tmp_path / "out" / "painted_mask.png").exists()


def test_00_is_five_lines_that_work_together(tmp_path):
    look = """{
        "seconds": result.seconds,
        "trained": type(module).__name__,
        "best": best.best_model_path,
        "scores": compared.scores["hole_psnr"].to_dict(),
    }"""
    found, printed = run_notebook("00_start", tmp_path, look, width=8, steps=2, run="run")
    assert found["trained"] == "AdversarialCompletion"
    assert found["best"].endswith("best.ckpt")
    assert set(found["scores"]) == {"telea", "patch-match"}
    assert "pixels restored by patch-match" in printed
    assert "`make sweep` runs one" in printed


def test_02_trains_and_goes_on(tmp_path):
    settings = {"run": "run", "settings": TINY_RUN, "sweeps": SWEEPS}
    look = "[checkpoint.name, scores.index.tolist(), sorted(trained.losses.columns)]"
    for epochs in (1, 2):
        found, _ = run_notebook("02_train_and_watch", tmp_path, look, epochs=epochs, **settings)
    name, scored, losses = found
    assert name == "epoch-002.pt"
    assert scored == [1, 2]
    assert {"real_logit", "fake_logit"} <= set(losses)
    kept = sorted(path.name for path in (tmp_path / "run" / "checkpoints").iterdir())
    assert kept == ["epoch-001.pt", "epoch-002.pt", "last.ckpt"]


def test_03_shows_every_variant(tmp_path):
    upscalers = PROJECT.parent / "shared" / "data" / "superres"
    look = """{
        "rounds": len(rounds),
        "pasted": all(bool((x == image)[(mask == 0).expand_as(image)].all())
                      for x in [repeated, direct, *tiled.values(), *upscaled.values()]),
        "seams": seams.to_dict(),
        "gates": len(chosen),
        "channels": channel_gates["mean"].tolist(),
        "upscaled": list(upscaled),
        "shares": [(setattr(dilation, "value", pixels), share.value, len(pictures.value))[1:]
                   for pixels in (0, 40)],
    }"""
    found, _ = run_notebook(
        "03_variants",
        tmp_path,
        look,
        run="run",
        gates_run="gates",
        epochs=1,
        settings=TINY_RUN,
        sweeps=SWEEPS,
        size=64,
        shown=2,
        upscalers=upscalers if upscalers.exists() else None,
    )
    assert found["rounds"] >= 1
    assert found["pasted"], "no variant touches known pixels"
    assert set(found["seams"]) == {"whole", "no overlap (the notes)", "overlap, smooth"}
    assert all(np.isfinite(list(found["seams"].values())))
    assert found["gates"] == 6
    assert all(0 < mean < 2 for mean in found["channels"])
    assert (found["upscaled"] == ["bicubic", "fsrcnn", "espcn"]) == upscalers.exists()
    (tight, small), (wide, large) = found["shares"]
    tight, wide = (float(said.split()[3].rstrip("%")) for said in (tight, wide))
    assert 20 < tight < wide < 90
    assert small != large, "the slider draws another picture"
    assert (tmp_path / "gates" / "checkpoints" / "epoch-001.pt").exists()


def test_04_ranks_what_is_there_and_counts_votes(tmp_path):
    fit_tiny(tmp_path / "run", "--fit.epochs=3", "--data.validation_crops=4")
    for pair in draw_pairs(completions_of(open_study(tmp_path / "run")), 4, seed=1):
        add_vote(tmp_path / "run", vote(pair, "left", "anna"))
    before = {path.name for path in (tmp_path / "run").iterdir()}
    look = """{
        "epochs": list(browser.epoch.options),
        "names": [point.name for point in selection.checkpoints],
        "voters": counted.voters,
        "status": ballot.status,
        "sides": [comparison.wipe.left_name, comparison.wipe.right_name],
    }"""
    found, _ = run_notebook("04_choose_checkpoint", tmp_path, look, folder="run", count=5)
    assert found["epochs"] == [1, 2, 3]
    assert found["names"] == ["epoch-001", "epoch-002", "epoch-003"]
    assert found["voters"] == ["anna"]
    assert found["status"] == "pair 1 of 5: which looks better?"
    assert found["sides"] == ["epoch 1", "epoch 3"]
    assert {path.name for path in (tmp_path / "run").iterdir()} == before, "looking leaves nothing"


def test_05_runs_a_tiny_study_and_says_what_it_found(tmp_path):
    # The threads of a trial are the sweep's to set.
    settings = [option for option in TINY_RUN if "threads" not in option]
    # One of the methods: the others take longer than the trials.
    question = (SWEEPS / "documented_weights.yaml").read_text()
    (tmp_path / "sweeps").mkdir()
    (tmp_path / "sweeps" / "documented_weights.yaml").write_text(
        f"{question}\nbaselines: [telea]\n"
    )
    look = '{"ranked": len(found.ranked), "plots": list(figures)}'
    found, printed = run_notebook(
        "05_sweep_results",
        tmp_path,
        look,
        question="documented_weights",
        study="runs/small",
        trials=3,
        epochs=1,
        settings=settings,
        sweeps=tmp_path / "sweeps",
    )
    assert found["ranked"] == 3
    assert {"Parallel coordinates", "History", "Slices"} <= set(found["plots"])
    # The same words as everywhere: tests/results/test_one_number.py compares the others.
    said = findings(open_study(tmp_path / "runs" / "small"))
    assert said[0].startswith("Best by hole_ssim")
    assert all(f"- {sentence}" in printed for sentence in said)
    assert (tmp_path / "runs" / "small" / "results.csv").exists()


def test_06_removes_a_person_and_needs_no_clip(tmp_path):
    look = '{"methods": list(removed), "hole": float(mask.mean()), "scores": scores}'
    found, printed = run_notebook("06_real_removals", tmp_path, look, output="out", run="none")
    assert "No network" in printed
    assert "No clip" in printed
    assert found["methods"] == ["Telea", "Navier-Stokes"]
    assert 0.2 < found["hole"] < 0.8, "the astronaut fills a good part of her photo"
    assert found["scores"] == {}
    assert Image.open(tmp_path / "out" / "removed-Telea.png").size == (512, 512)


@pytest.mark.skipif(not CAMPUS.exists(), reason="../shared/data/clip/campus.avi is not there")
def test_06_scores_removals_against_the_true_background(tmp_path):
    fit_tiny(tmp_path / "run", "--fit.epochs=1")
    found, printed = run_notebook(
        "06_real_removals",
        tmp_path,
        "{name: rows['hole_psnr'].tolist() for name, rows in scores.items()}",
        output="out",
        run="run",
        clip=CAMPUS,
        every=20.0,
        crop=64,
    )
    triplets = read_evaluation_set(tmp_path / "out" / "triplets-campus-64-20")
    assert list(found) == ["Telea", "Navier-Stokes", "network"]
    assert {len(values) for values in found.values()} == {len(triplets)}
    # Behind a walking person is mostly plain ground: far better than chance, which is about 8 dB.
    assert np.mean(found["Telea"]) > 18
    assert "against Telea" in printed
