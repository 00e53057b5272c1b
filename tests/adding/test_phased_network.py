"""What a network of two phases with edges and two judges costs: three files of ``lab/``.

The network's own and its judge's own in ``lab/networks/``, and ``lab/networks/__init__.py``, which
imports both. What trains when, and which judge is asked, are settings (``model.phases``,
``model.judges``); the guide is named in the network's class attribute ``guides``.
"""

from math import isfinite

import pytest
import torch

from lab.checks import UserError
from lab.metrics import METRICS
from lab.networks import load_network
from lab.strategies import Direct, Tiled
from lab.training import Phase
from tests.guides.networks import save
from tests.toys import Painter, batches, fit, loader, trainer

PHASES = [
    Phase(1, ("network.edges", "judges.edges"), weights={"hole_l1": 0.0, "adversarial": 0.0}),
    Phase(
        1,
        ("network.encoder", "network.decoder", "judges.whole"),
        weights={"edges_adversarial": 0.0},
    ),
]
JUDGED = ("discriminator", "real_logit", "fake_logit")


@pytest.fixture(scope="module")
def fitted():
    """The module after both phases, and what its steps logged."""
    weights = {"adversarial": 0.1, "edges_adversarial": 1.0}
    module, _, logged, _ = fit(PHASES, weights=weights)
    return module, logged


def test_each_phase_asks_its_own_judge(fitted):
    module, logged = fitted
    assert set(module.judges) == {"whole", "edges"}
    first, last = logged[0], logged[-1]
    terms = {"edges_adversarial", "gradient/edges_adversarial"}
    updates = {"update/network", "update/judges"}
    assert set(first) == {"total", *terms, *updates, *(f"edges_{name}" for name in JUDGED)}
    assert set(last) == {"total", "hole_l1", "adversarial", *updates, *JUDGED}


@pytest.mark.filterwarnings("ignore")
def test_it_is_validated_with_its_guide(fitted):
    module, _ = fitted
    (scores,) = trainer(1).validate(module, loader(), verbose=False)
    assert {f"val/{metric}" for metric in METRICS} <= scores.keys()
    assert all(isfinite(value) for value in scores.values())


@pytest.mark.parametrize("strategy", [Direct, Tiled])
def test_saved_and_reloaded_it_completes_alike_by_a_strategy_with_its_guide(
    fitted, strategy, tmp_path, monkeypatch
):
    module, _ = fitted
    network = load_network(save(module.network.eval(), tmp_path / "epoch-002.pt", monkeypatch))
    assert isinstance(network, Painter)
    batch = next(batches())
    image, mask, edges = batch.image, batch.mask, batch.guides["edges"]
    completed = strategy(network)(image, mask, batch.guides)
    torch.testing.assert_close(completed, strategy(module.network)(image, mask, batch.guides))
    known = (mask == 0).expand_as(image)
    assert torch.equal(completed[known], image[known])

    # It is shown the edges of known pixels, and those alone.
    def by(guide):
        return strategy(network)(image, mask, {"edges": guide})

    assert not torch.equal(by(1.0 - edges), completed)
    assert torch.equal(by(torch.where(mask > 0, 1.0 - edges, edges)), completed)
    with pytest.raises(UserError, match="Painter reads the guide 'edges'"):
        strategy(network)(image, mask)
