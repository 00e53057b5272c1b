"""The table of networks: any is built by its name, with weights that are what was asked for."""

import re

import pytest
import torch

from lab.networks import (
    NETWORKS,
    InpaintSANet,
    MissingWeightsError,
    create,
    describe_network,
    register,
    write_checkpoint,
)
from lab.variants import VARIANTS, build_variants


@pytest.mark.parametrize("name", NETWORKS)
def test_every_network_says_where_it_comes_from(name):
    registered = NETWORKS[name]
    assert registered.name == name
    assert registered.paper
    for form in registered.published:
        assert form.address.startswith("https://")
        assert registered.code
        assert registered.licence


@pytest.fixture
def checkpoint(tmp_path):
    torch.manual_seed(0)
    network = create("RFR", width=8, recurrences=2)
    write_checkpoint(tmp_path / "epoch-003.pt", describe_network(network, 3, ""))
    return network, tmp_path / "epoch-003.pt"


def test_weights_come_from_a_file_and_fit_what_was_asked_for(checkpoint):
    network, path = checkpoint
    found = create("RFR", weights=path, width=8)
    assert not found.training
    for name, tensor in network.state_dict().items():
        assert torch.equal(found.state_dict()[name], tensor)
    with pytest.raises(ValueError, match="are for width=8, not 16"):
        create("RFR", weights=path, width=16)
    with pytest.raises(ValueError, match="holds RFR, not InpaintSANet"):
        create("InpaintSANet", weights=path)


def test_a_preset_is_a_set_of_arguments_in_one_place(tmp_path):
    small = create("DeepFillv2", preset="300m")
    assert (small.width, small.separable) == (24, True)
    assert create("DeepFillv2", preset="300m", width=16).width == 16
    assert create("InpaintSANet", preset="full").width == InpaintSANet().width
    with pytest.raises(ValueError, match="no preset of DeepFillv2 is called '30m'"):
        create("DeepFillv2", preset="30m")
    write_checkpoint(tmp_path / "epoch-001.pt", describe_network(small, 1, ""))
    assert create("DeepFillv2", weights=tmp_path / "epoch-001.pt", preset="300m").width == 24
    with pytest.raises(ValueError, match="are for width=24, not 36"):
        create("DeepFillv2", weights=tmp_path / "epoch-001.pt", preset="600m")
    settings = VARIANTS["deepfill_v2_300m"].settings
    assert settings["data.size"] == NETWORKS["DeepFillv2"].presets["300m"].photo_size
    module = build_variants(["deepfill_v2_300m"])
    assert (
        describe_network(module.network, 1, "")["arguments"]
        == (describe_network(small, 1, "")["arguments"])
    )


def test_an_unknown_name_is_told_the_nearest():
    with pytest.raises(ValueError, match="InpaintSANet"):
        create("InpaintSanet")


def test_weights_that_nobody_can_verify_are_said_to_be_fetched_by_hand():
    address = NETWORKS["RFR"].published[0].address
    with pytest.raises(MissingWeightsError, match=re.escape(address)):
        create("RFR", weights="published")


def test_a_name_is_taken_once():
    with pytest.raises(ValueError, match="two networks called RFR"):
        register(NETWORKS["RFR"].build, paper="another")
