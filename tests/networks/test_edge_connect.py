"""EdgeConnect's generators and discriminators are the published ones, alone and together."""

import pytest
import torch
import torch.nn.functional as F

from lab.networks import (
    EdgeConnect,
    EdgeConnectDiscriminator,
    EdgeGenerator,
    EdgePainter,
    UnreadableCheckpointError,
    describe_network,
    load_edge_connect,
    load_network,
)
from lab.networks.edge_connect import to_gray
from lab.networks.edge_connect_discriminator import rename_published_edge_connect_discriminator
from tests.parity import TOLERANCE, published, relative_error


def saved(path, state, wrapper, prefix=""):
    """A file as the published code writes it."""
    state = {f"{prefix}{name}": tensor for name, tensor in state.items()}
    torch.save({wrapper: state, "iteration": 2000000} if wrapper else state, path)
    return path


def as_color(gray):
    """A photo of which the published gray is made."""
    return gray.expand(-1, 3, -1, -1)


@pytest.fixture(scope="module")
def published_edge_generator():
    return published("edge_connect_edge_generator")  # seconds, for its singular vectors


@pytest.mark.parametrize(("wrapper", "prefix"), [(None, ""), ("generator", "module.")])
@torch.no_grad()
def test_the_published_edge_generator_answers_as_published(
    tmp_path, published_edge_generator, wrapper, prefix
):
    tensors, state = published_edge_generator
    network = load_network(saved(tmp_path / "EdgeModel_gen.pth", state, wrapper, prefix))
    assert isinstance(network, EdgeGenerator)
    stages = network(
        as_color(tensors["in_gray"]), tensors["in_mask"], {"edges": tensors["in_edge"]}
    )
    assert relative_error(stages.extras["drawn_edges"], tensors["out_edge"]) <= TOLERANCE
    assert relative_error(stages.refined[:, :1], tensors["out_edge"]) <= TOLERANCE
    known = (1 - tensors["in_mask"]) * tensors["in_edge"]
    pasted = known + tensors["in_mask"] * stages.extras["drawn_edges"]
    assert torch.equal(stages.extras["edges"], pasted)


@pytest.mark.parametrize(("wrapper", "prefix"), [(None, ""), ("generator", "module.")])
@torch.no_grad()
def test_the_published_painter_answers_as_published(tmp_path, wrapper, prefix):
    tensors, state = published("edge_connect_inpaint_generator")
    network = load_network(saved(tmp_path / "InpaintingModel_gen.pth", state, wrapper, prefix))
    assert isinstance(network, EdgePainter)
    guides = dict.fromkeys(network.guides, tensors["in_edge"])
    stages = network(tensors["in_image"], tensors["in_mask"], guides)
    assert relative_error(stages.refined, tensors["out_image"]) <= TOLERANCE


@torch.no_grad()
def test_the_published_discriminator_answers_as_published():
    tensors, state = published("edge_connect_discriminator")
    discriminator = EdgeConnectDiscriminator(size=64).eval()
    renamed = rename_published_edge_connect_discriminator(state)
    discriminator.load_state_dict(renamed, strict=True)
    image = tensors["in_image"]
    answer = discriminator(image, torch.zeros_like(image[:, :1]))
    (logits,) = answer.logits
    assert relative_error(logits.sigmoid(), tensors["out_scores"].flatten(1)) <= TOLERANCE
    # Scores near a half hide what logits show.
    assert relative_error(logits, tensors["out_scores"].logit().flatten(1)) <= 1e-3
    assert relative_error(answer.features[2], tensors["out_feature3"]) <= TOLERANCE
    assert len(answer.features) == 5


def photo(height=32, width=40):
    generator = torch.Generator().manual_seed(1)
    small = torch.rand(2, 3, 4, 5, generator=generator)
    image = F.interpolate(small, (height, width), mode="bilinear")
    mask = torch.zeros(2, 1, height, width)
    mask[0, :, 8:20, 10:24] = 1
    mask[1, :, 16:, 20:] = 1
    edges = (torch.rand(2, 1, height, width, generator=generator) < 0.1).float()
    return image, mask, {"edges": edges}


def parts(seed=0, **arguments):
    torch.manual_seed(seed)
    return EdgeGenerator(width=4, blocks=2).eval(), EdgePainter(4, 2, **arguments).eval()


def written(network, path):
    torch.save(describe_network(network, 1, ""), path)
    return path


@torch.no_grad()
def test_both_files_together_are_the_whole_network(tmp_path):
    edges, painting = parts(start="fill")
    network = load_edge_connect(
        written(edges, tmp_path / "edges.pt"), written(painting, tmp_path / "painting.pt")
    )
    assert isinstance(network, EdgeConnect)
    assert (network.width, network.blocks, network.start) == (4, 2, "fill")
    assert not network.training
    image, mask, guides = photo()
    drawing = edges(image, mask, guides)
    stages = network(image, mask, guides)
    assert torch.equal(stages.extras["edges"], drawing.extras["edges"])
    # Painted by the known edges and, in the hole, the drawn ones.
    shown = {name: drawing.extras["edges"] for name in ("edges", "sketch")}
    assert torch.equal(stages.refined, painting(image, mask, shown).refined)
    # The whole is a checkpoint too.
    loaded = load_network(written(network, tmp_path / "whole.pt"))
    assert torch.equal(loaded(image, mask, guides).refined, stages.refined)


def test_files_that_do_not_belong_together_are_refused(tmp_path):
    edges, painting = (
        written(part, tmp_path / f"{name}.pt")
        for part, name in zip(parts(), ("edges", "painting"), strict=True)
    )
    with pytest.raises(ValueError, match=r"painting\.pt holds EdgePainter, but must hold EdgeGen"):
        load_edge_connect(painting, edges)
    with pytest.raises(ValueError, match=r"edges\.pt holds EdgeGenerator, but must hold EdgePai"):
        load_edge_connect(edges, edges)
    wide = written(EdgePainter(width=8, blocks=2), tmp_path / "wide.pt")
    with pytest.raises(ValueError, match=r"\(4, 2\) in .*edges\.pt and \(8, 2\) in .*wide\.pt"):
        load_edge_connect(edges, wide)


@pytest.mark.parametrize("kind", [EdgeConnect, EdgeGenerator])
@torch.no_grad()
def test_edges_under_the_hole_are_never_read(kind):
    torch.manual_seed(0)
    network = kind(width=4, blocks=1).eval()
    image, mask, guides = photo()
    answer = network(image, mask, guides)
    hidden = {"edges": torch.where(mask > 0, float("nan"), guides["edges"])}
    found = network(image, mask, hidden)
    assert torch.equal(found.refined, answer.refined)
    for name, extra in answer.extras.items():
        assert torch.equal(found.extras[name], extra)
    other = {"edges": torch.where(mask > 0, guides["edges"], 1 - guides["edges"])}
    assert (network(image, mask, other).refined - answer.refined).abs().max() > 1e-4


@torch.no_grad()
def test_the_painter_goes_by_a_sketch_in_the_hole_and_edges_around_it():
    _, network = parts()
    image, mask, guides = photo()
    both = {**guides, "sketch": guides["edges"].flip(-1)}
    answer = network(image, mask, both).refined
    unread = {
        "edges": torch.where(mask > 0, float("nan"), both["edges"]),
        "sketch": torch.where(mask > 0, both["sketch"], float("nan")),
    }
    assert torch.equal(network(image, mask, unread).refined, answer)
    redrawn = {**both, "sketch": 1 - both["sketch"]}
    assert (network(image, mask, redrawn).refined - answer).abs().max() > 1e-4


@pytest.mark.parametrize(
    ("network", "missing"),
    [(EdgeConnect, "edges"), (EdgeGenerator, "edges"), (EdgePainter, "sketch")],
)
def test_a_missing_guide_is_said_to_be_missing(network, missing):
    image, mask, guides = photo()
    given = {name: guide for name, guide in guides.items() if name != missing}
    with pytest.raises(ValueError, match=f"reads the guide '{missing}', but the guides given"):
        network(width=4, blocks=1)(image, mask, given)


def test_the_drawn_edges_learn_from_what_is_painted():
    network = EdgeConnect(width=4, blocks=1)
    image, mask, guides = photo()
    (network(image, mask, guides).refined - image).abs().mean().backward()
    assert all(
        parameter.grad.abs().max() > 0 for parameter in network.edges.last_layer.parameters()
    )


def test_sixty_steps_halve_the_loss_in_the_hole():
    torch.manual_seed(0)
    network = EdgeConnect(width=8, blocks=1).train()
    image, mask, guides = photo()

    def loss():
        difference = (network(image, mask, guides).refined - image).abs() * mask
        return difference.sum() / (3 * mask.sum())

    first = loss().item()
    optimizer = torch.optim.Adam(network.parameters(), 3e-3)
    for _ in range(60):
        optimizer.zero_grad()
        loss().backward()
        optimizer.step()
    assert loss().item() < 0.5 * first


@torch.no_grad()
def test_edges_are_judged_as_edges_of_the_gray_photo():
    torch.manual_seed(0)
    judge = EdgeConnectDiscriminator(size=32, width=4, judged="edges").eval()
    image, mask, guides = photo()
    (logits,) = judge(image, mask, guides).logits
    assert logits.shape == (2, 2 * 3)
    gray = as_color(to_gray(image))
    torch.testing.assert_close(judge(gray, mask, guides).logits[0], logits)
    flipped = {"edges": guides["edges"].flip(-1)}
    assert (judge(image, mask, flipped).logits[0] - logits).abs().max() > 1e-4
    with pytest.raises(ValueError, match="reads the guide 'edges'"):
        judge(image, mask)


def test_other_tensors_are_refused(tmp_path):
    for name in ("weight", "weight_orig"):
        state = {
            f"middle.0.conv_block.1.{name}": torch.ones(8, 8, 3, 3),
            "decoder.7.weight": torch.ones(1, 2, 7, 7),
            "surplus.weight": torch.ones(1),
        }
        path = saved(tmp_path / "odd_gen.pth", state, "generator")
        with pytest.raises(UnreadableCheckpointError, match=r"odd_gen\.pth.*do not fit Edge"):
            load_network(path)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: EdgeConnect(width=0), "width must be at least 1, not 0"),
        (lambda: EdgePainter(blocks=0), "blocks must be at least 1, not 0"),
        (lambda: EdgeConnectDiscriminator(size=23), "23 pixels a side, but .* at least 24"),
        (lambda: EdgeConnectDiscriminator(width=0), "width must be at least 1, not 0"),
        (lambda: EdgeConnectDiscriminator(judged="edge"), "Did you mean 'edges'"),
    ],
)
def test_they_state_their_rules(build, message):
    with pytest.raises(ValueError, match=message):
        build()
