"""Networks that read guides: trained, evaluated with one answer and with several, and used."""

import numpy as np
import pandas as pd
import pytest
import pytorch_lightning as pl
import torch
from PIL import Image
from skimage import data as pictures

import lab
from lab import evaluate, inpaint
from lab.checks import UserError
from lab.completion import Guidance, complete_picture
from lab.cost import measure_cost
from lab.data import PhotoDataModule
from lab.evaluation import Evaluation, Tasks, judge
from lab.guides import find_edges
from lab.losses import LossWeights, Objective
from lab.metrics import METRICS, measure
from lab.networks import EdgeConnect, describe_network, write_checkpoint
from lab.results import open_run
from lab.strategies import Direct
from lab.training import AdversarialCompletion
from tests.guides.networks import EdgeReader, InstanceReader, NoiseReader, SketchReader, save

SIZE = (60, 80)


def mask():
    hole = np.zeros(SIZE, np.uint8)
    hole[15:45, 30:60] = 255
    return hole


@pytest.fixture
def photos(tmp_path, monkeypatch):
    """A photo, its mask, a sketch in the hole, and a map of two objects."""
    monkeypatch.chdir(tmp_path)
    Image.fromarray(pictures.astronaut()[50:110, 180:260]).save("photo.png")
    Image.fromarray(mask()).save("mask.png")
    lines = np.full(SIZE, 255, np.uint8)
    lines[30, 35:55] = 0
    Image.fromarray(lines).save("sketch.png")
    halves = np.zeros(SIZE, np.uint8)
    halves[:, 40:] = 7
    Image.fromarray(halves).save("map.png")
    return tmp_path


def run(line):
    return inpaint.main(["photo.png", "--mask", "mask.png", "--device", "cpu", *line.split()])


def pixels(name):
    return np.asarray(Image.open(name))


# Training.


def trainer():
    return pl.Trainer(
        max_epochs=1, accelerator="cpu", logger=False, enable_checkpointing=False,
        enable_progress_bar=False, enable_model_summary=False,
    )  # fmt: skip


def module(network=EdgeReader):
    return AdversarialCompletion(network, objective=lambda: Objective(LossWeights(whole_l1=1.0)))


def few(**options):
    return PhotoDataModule(
        size=32, samples_per_epoch=8, validation_photos=2, validation_crops=1, **options
    )


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("stated", [{}, {"guides": ["edges"]}])
def test_a_network_with_a_guide_trains_and_validates(stated):
    model, photos = module(), few(**stated)
    before = model.network.last_layer.weight.clone()
    fitted = trainer()
    fitted.fit(model, datamodule=photos)
    assert not torch.equal(model.network.last_layer.weight, before)
    assert 0 < float(fitted.callback_metrics["val/hole_ssim"]) <= 1
    # What it was shown of the validation's samples, last of all.
    (batch,) = photos.val_dataloader()
    assert torch.equal(model.network.seen[-1], find_edges(batch.image, batch.mask))


@pytest.mark.filterwarnings("ignore")
def test_the_same_photos_draw_for_one_network_after_the_other():
    photos = few()
    for network, drawn in ((EdgeReader, {"edges"}), (NoiseReader, {"noise"})):
        trainer().fit(module(network), datamodule=photos)
        assert set(next(iter(photos.train_dataloader())).guides) == drawn


def test_training_without_the_guide_says_what_to_write():
    with pytest.raises(UserError) as raised:
        trainer().fit(module(), datamodule=few(guides=["sketch"]))
    assert str(raised.value) == (
        "EdgeReader reads the guide 'edges': add --data.guides+=edges, or "
        "lab.photos(..., guides=['sketch', 'edges'])"
    )
    with pytest.raises(UserError, match="go together"):
        trainer().fit(module(InstanceReader), datamodule=few())


# Evaluation.


@pytest.fixture
def noisy(tmp_path, monkeypatch):
    return save(NoiseReader(), tmp_path / "noisy.pt", monkeypatch)


def evaluated(folder, checkpoint, *options):
    settings = ["--data.size=32", "--data.validation_photos=3", "--data.validation_crops=1"]
    arguments = ["--checkpoint", str(checkpoint), "--runs", str(folder), "--baseline", "smooth"]
    return evaluate.main([*arguments, *settings, "--fit.device=cpu", *options])


def test_several_answers_are_scored_by_their_mean_and_by_the_best(noisy, tmp_path, capsys):
    assert evaluated(tmp_path, noisy, "--evaluation.samples=3") == 0
    assert open_run(tmp_path / "evaluation").options["data.guides"] == ["noise"]
    table = pd.read_csv(tmp_path / "evaluation" / "photos.csv")
    for metric, how in METRICS.items():
        assert np.isfinite(table[f"{metric}_best_of_3"]).all()
        if metric == "hole_ssim":
            assert how.higher_is_better
            assert (table["hole_ssim_best_of_3"] > table[metric]).all()
    pictured = next((tmp_path / "evaluation" / "visuals").iterdir())
    answers = [pixels(pictured / f"epoch-003-completed{n}.png") for n in ("", "-2", "-3")]
    assert len({answer.tobytes() for answer in answers}) == 3
    printed = capsys.readouterr().out
    assert "is the mean over 3 answers to each hole; the best of 3, chosen by the truth" in printed
    # A method without a network has one answer, and no columns of others.
    plain = pd.read_csv(tmp_path / "evaluation" / "baselines" / "smooth" / "photos.csv")
    assert not [column for column in plain if "best_of" in column]


def test_means_and_bests_are_those_of_the_single_answers():
    photos = few(guides=["noise"])
    network = NoiseReader()
    (judged,) = judge(Direct(network), Tasks(Evaluation(), photos), 3, "hole_rmse")
    task, answers = judged.task, (judged.completed, *judged.further)
    assert torch.equal(answers[0], Direct(network)(task.image, task.mask, task.guides))
    each = [measure(answer, task.truth, task.scored) for answer in answers]
    for index, score in enumerate(judged.scores):
        best = min(range(3), key=lambda number: each[number]["hole_rmse"][index])
        for metric in METRICS:
            values = [float(one[metric][index]) for one in each]
            assert score.metrics[metric] == pytest.approx(np.mean(values), abs=1e-5)
            assert score.metrics[f"{metric}_best_of_3"] == pytest.approx(values[best], abs=1e-6)


def test_an_evaluation_without_the_guide_is_refused_before_it_leaves_files(noisy, tmp_path, capsys):
    assert evaluated(tmp_path / "runs", noisy, "--data.guides=[edges]") == 2
    said = capsys.readouterr().err
    assert said == (
        "error: NoiseReader reads the guide 'noise': add --data.guides+=noise, or "
        "lab.photos(..., guides=['edges', 'noise'])\n"
    )
    assert not list(tmp_path.rglob("config.yaml"))


def test_several_answers_without_noise_are_refused(tmp_path, monkeypatch, capsys):
    checkpoint = save(EdgeReader(), tmp_path / "edges.pt", monkeypatch)
    assert evaluated(tmp_path, checkpoint, "--evaluation.samples=2") == 2
    assert "EdgeReader reads no noise, and all its answers" in capsys.readouterr().err
    with pytest.raises(UserError, match=r"set data.guides\+=noise"):
        next(judge(Direct(NoiseReader()), Tasks(Evaluation(), few()), samples=2))
    with pytest.raises(ValueError, match="must be at least 1, not 0"):
        Evaluation(samples=0)
    with pytest.raises(ValueError, match="Did you mean 'hole_ssim'"):
        Evaluation(best_by="hole_sim")


def test_the_cost_of_a_network_with_a_guide_is_measured():
    network = EdgeReader()
    assert measure_cost(Direct(network), network, 32).multiply_adds == 32 * 32 * 5 * 3 * 9


# Use.


def completed(network, reads, **asked):
    filler = Direct(network)
    options = {"guidance": Guidance(**asked), "reads": reads}
    return complete_picture("photo.png", "mask.png", filler, "it", **options)


def test_an_answer_depends_on_photo_seed_and_number_alone(photos):
    network = NoiseReader()
    three, two, other, one = (
        [np.asarray(answer.image) for answer in completed(network, ("noise",), **asked).answers]
        for asked in ({"samples": 3}, {"samples": 2}, {"samples": 2, "seed": 1}, {})
    )
    assert len({answer.tobytes() for answer in (*three, *other)}) == 5
    assert np.array_equal(two, three[:2])
    assert np.array_equal(one, three[:1])
    for answer in three:
        assert np.array_equal(answer[mask() == 0], pixels("photo.png")[mask() == 0])


def test_several_answers_are_several_files_none_of_them_overwritten_unasked(photos, noisy, capsys):
    command = f"--checkpoint {noisy} --samples 3 -o a/out.png"
    assert run(f"{command} --preview a/preview.png") == 0
    assert "out-1.png to out-3.png: " in capsys.readouterr().out
    assert sorted(path.name for path in (photos / "a").iterdir()) == [
        *(f"out-{number}.png" for number in (1, 2, 3)),
        *(f"preview-{number}.png" for number in (1, 2, 3)),
    ]
    answers = completed(NoiseReader(), ("noise",), samples=3).answers
    for number, answer in enumerate(answers, start=1):
        assert np.array_equal(pixels(f"a/out-{number}.png"), np.asarray(answer.image))
    (photos / "a" / "out-1.png").unlink()
    assert run(command) == 2
    assert "out-2.png exists" in capsys.readouterr().err


def test_a_folder_goes_on_where_some_answers_are_missing(photos, noisy, capsys):
    for number in range(2):
        for source, name in (("photo.png", "p/a"), ("mask.png", "m/a")):
            target = photos / f"{name}{number}.png"
            target.parent.mkdir(exist_ok=True)
            target.write_bytes((photos / source).read_bytes())
    command = ["p", "--mask", "m", "-o", "o", "--checkpoint", str(noisy), "--samples", "2"]
    assert inpaint.main(command) == 0
    first = {path.name: path.read_bytes() for path in (photos / "o").iterdir()}
    assert len(first) == 4
    (photos / "o" / "a1-2.png").unlink()
    capsys.readouterr()
    assert inpaint.main([*command, "--skip-existing"]) == 0
    assert "1 of 2 pairs completed, 1 were there already" in capsys.readouterr().out
    assert {path.name: path.read_bytes() for path in (photos / "o").iterdir()} == first
    with pytest.raises(SystemExit):
        inpaint.main([*command, "--sketch", "sketch.png"])
    assert "belongs to one photo" in capsys.readouterr().err


def test_samples_that_would_all_be_the_same_are_refused(photos, monkeypatch, capsys):
    checkpoint = save(EdgeReader(), photos / "edges.pt", monkeypatch)
    assert run(f"--checkpoint {checkpoint} --samples 3 -o out.png") == 2
    said = capsys.readouterr().err
    assert "edges.pt reads no noise, and all of them would be the same" in said
    assert said.count("\n") == 1
    for options, expected in (
        ("--samples 3", "samples of a method without a network would be the same"),
        (f"--checkpoint {checkpoint} --samples 0", "--samples is 0, but must be at least 1"),
        (f"--checkpoint {checkpoint} --seed -1", "--seed is -1, but must not be negative"),
        ("--sketch sketch.png", "--sketch goes with --checkpoint"),
    ):
        with pytest.raises(SystemExit):
            run(f"{options} -o out.png")
        assert expected in capsys.readouterr().err


def test_a_sketch_is_shown_in_the_hole_and_changes_it(photos, monkeypatch, capsys):
    checkpoint = save(SketchReader(), photos / "sketch.pt", monkeypatch)
    assert run(f"--checkpoint {checkpoint} -o without.png") == 0
    assert "no sketch is given" in capsys.readouterr().err
    assert run(f"--checkpoint {checkpoint} --sketch sketch.png -o with.png") == 0
    assert "dark lines on light were read" in capsys.readouterr().err
    changed = (pixels("with.png") != pixels("without.png")).any(-1)
    rows, columns = changed.nonzero()
    # A pixel to each side of the line: the convolution's reach.
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (29, 31, 34, 55)

    Image.fromarray(255 - np.asarray(Image.open("sketch.png")).T).save("turned.png")
    assert run(f"--checkpoint {checkpoint} --sketch turned.png -o no.png") == 2
    assert "is 60x80 (width x height), but the photo is 80x60" in capsys.readouterr().err
    assert run(f"--checkpoint {checkpoint} --sketch sketch.png -o sketch.png --overwrite") == 2
    assert "sketch.png is the sketch itself" in capsys.readouterr().err


def test_edges_are_found_unless_a_file_gives_them(photos, monkeypatch, capsys):
    checkpoint = save(EdgeReader(), photos / "edges.pt", monkeypatch)
    assert run(f"--checkpoint {checkpoint} -o found.png") == 0
    image = torch.from_numpy(pixels("photo.png").copy()).permute(2, 0, 1)[None] / 255
    hole = torch.from_numpy(mask())[None, None] / 255
    network = EdgeReader()
    expected = Direct(network)(image, hole, {"edges": find_edges(image, hole)})
    answer = torch.from_numpy(pixels("found.png").copy()).permute(2, 0, 1)[None] / 255
    assert (answer - expected).abs().max() <= 0.51 / 255
    # Lines under the hole are no edges of known pixels, and that is said.
    assert run(f"--checkpoint {checkpoint} --edges sketch.png -o given.png") == 0
    assert "edges: 20 marked pixels under the hole are not shown" in capsys.readouterr().err
    assert run(f"--checkpoint {checkpoint} --sketch sketch.png -o no.png") == 2
    assert "reads no such guide (it reads edges)" in capsys.readouterr().err


def test_a_network_of_objects_needs_their_map(photos, monkeypatch, capsys):
    checkpoint = save(InstanceReader(), photos / "objects.pt", monkeypatch)
    assert run(f"--checkpoint {checkpoint} -o out.png") == 2
    assert "give its file as instances (--instances FILE)" in capsys.readouterr().err
    assert run(f"--checkpoint {checkpoint} --instances map.png -o out.png") == 0


@pytest.mark.parametrize("tile", [0, 64])
def test_a_notebook_has_the_same_in_a_line(photos, noisy, monkeypatch, tile):
    result = lab.complete(
        "photo.png", "mask.png", checkpoint=noisy, samples=2, seed=5, tile=tile, device="cpu"
    )
    first, second = result.answers
    assert np.array_equal(np.asarray(first.image), np.asarray(result.image))
    assert not np.array_equal(np.asarray(first.image), np.asarray(second.image))
    assert result._repr_png_()
    checkpoint = save(SketchReader(), photos / "sketch.pt", monkeypatch)
    drawn = np.zeros(SIZE, bool)
    drawn[30, 35:55] = True
    by_array, by_file = (
        lab.complete("photo.png", "mask.png", checkpoint=checkpoint, sketch=sketch, device="cpu")
        for sketch in (drawn, "sketch.png")
    )
    assert np.array_equal(np.asarray(by_array.image), np.asarray(by_file.image))
    with pytest.raises(UserError, match="reads no noise"):
        lab.complete("photo.png", "mask.png", method="smooth", samples=2)


# The edges by which a network completes.


@pytest.fixture
def edge_connect(photos):
    """A small EdgeConnect whose drawing has light and dark, and its checkpoint."""
    torch.manual_seed(0)
    network = EdgeConnect(width=4, blocks=1).eval()
    with torch.no_grad():
        network.edges.last_layer.weight.mul_(100)
    write_checkpoint(photos / "edge_connect.pt", describe_network(network, 3, ""))
    return network


@torch.no_grad()
def test_the_completed_edges_are_written_on_request(photos, edge_connect, capsys):
    command = "--checkpoint edge_connect.pt"
    assert run(f"{command} -o plain.png") == 0
    assert run(f"{command} -o out.png --save-edges edges.png --preview preview.png") == 0
    assert np.array_equal(pixels("out.png"), pixels("plain.png"))
    image = torch.from_numpy(pixels("photo.png").copy()).permute(2, 0, 1)[None] / 255
    hole = torch.from_numpy(mask())[None, None] / 255
    known = find_edges(image, hole)
    expected = edge_connect(image, hole, {"edges": known}).extras["edges"][0, 0].numpy()
    edges = pixels("edges.png")
    assert edges.dtype == np.uint8
    shown = lab.complete(
        "photo.png", "mask.png", checkpoint="edge_connect.pt", device="cpu", show_edges=True
    )
    assert np.array_equal(shown.edges[0].pixels[..., 0], edges)
    assert shown.answers[0].edges[0] is shown.edges[0]
    assert lab.complete("photo.png", "mask.png", checkpoint="edge_connect.pt").edges == ()
    with pytest.raises(UserError, match="draws no edges"):
        lab.complete("photo.png", "mask.png", method="smooth", show_edges=True)
    assert abs(edges / 255 - expected).max() <= 0.51 / 255
    assert edges[mask() > 0].std() > 10
    assert set(np.unique(edges[mask() == 0])) == {0, 255}
    # What a person gave as known edges is shown as such, and none of it in the hole.
    lines = np.zeros(SIZE, np.uint8)
    lines[5, 10:70] = lines[30, 35:55] = 255
    Image.fromarray(lines).save("lines.png")
    assert run(f"{command} -o other.png --edges lines.png --save-edges given.png") == 0
    given = pixels("given.png")
    assert np.array_equal(given[mask() == 0], lines[mask() == 0])
    assert not np.array_equal(given[mask() > 0], lines[mask() > 0])


def test_edges_of_tiles_and_of_a_folder_are_put_together(photos, edge_connect, capsys):
    Image.fromarray(pictures.astronaut()[50:110, 100:260]).save("photo.png")
    wide = np.zeros((60, 160), np.uint8)
    wide[20:40, 30:130] = 255
    Image.fromarray(wide).save("mask.png")
    command = "--checkpoint edge_connect.pt --tile 64 -o out.png --save-edges edges.png"
    assert run(command) == 0
    edges = pixels("edges.png")
    assert edges.shape == (60, 160)
    assert edges[wide > 0].std() > 10
    assert set(np.unique(edges[wide == 0])) == {0, 255}

    for folder, file in (("p", "photo.png"), ("m", "mask.png")):
        (photos / folder).mkdir()
        (photos / folder / "beach.png").write_bytes((photos / file).read_bytes())
    options = ["--checkpoint", "edge_connect.pt", "--tile", "64", "--device", "cpu"]
    line = ["p", "--mask", "m", "-o", "o", "--save-edges", "drawn", *options]
    assert inpaint.main(line) == 0
    assert np.array_equal(pixels("drawn/beach_edges.png"), edges)


def test_edges_that_cannot_be_shown_are_refused_before_anything_is_written(
    photos, edge_connect, monkeypatch, capsys
):
    save(EdgeReader(), photos / "reader.pt", monkeypatch)
    for options, message in (
        ("--checkpoint reader.pt --save-edges e.png", "EdgeReader draws no edges that could be"),
        (
            "--checkpoint edge_connect.pt --variant=repeated --save-edges e.png",
            "the strategy Repeated makes its photo of the network's answers",
        ),
        (
            "--checkpoint edge_connect.pt --save-edges e.jpg",
            "cannot write the edges e.jpg: end its",
        ),
        ("--checkpoint edge_connect.pt --save-edges out.png", "both result and edges"),
        ("--checkpoint edge_connect.pt --save-edges mask.png", "mask.png is the mask itself"),
    ):
        assert run(f"{options} -o out.png") == 2
        said = capsys.readouterr().err
        assert message in said
        assert said.count("\n") == 1
        assert not (photos / "out.png").exists()
    with pytest.raises(SystemExit):
        run("--method smooth --save-edges e.png -o out.png")
    assert "--save-edges goes with --checkpoint" in capsys.readouterr().err
