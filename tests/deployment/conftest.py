"""A model that is exported once."""

import pytest
import torch

from lab.deployment import export_network
from lab.networks import describe_network, write_checkpoint
from tests.networks.test_contract import build

# What a run that trained with tiles has in its settings.
TRAINED_WITH = """\
model:
  strategy:
    class_path: lab.strategies.Tiled
    init_args:
      rows: 2
      columns: 2
"""


@pytest.fixture(scope="session")
def exported(tmp_path_factory):
    """The folder of a checkpoint and of the model that is exported of it."""
    folder = tmp_path_factory.mktemp("exported")
    torch.manual_seed(0)
    network = build("GlobalLocal", {"width": 16})
    write_checkpoint(folder / "epoch-003.pt", describe_network(network, 3, TRAINED_WITH))
    export_network(network, folder / "model.onnx", TRAINED_WITH, sizes=((48, 64),))
    return folder
