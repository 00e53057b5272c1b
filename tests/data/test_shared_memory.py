"""Batches come out of shared memory as their samples went in, however far processes are ahead."""

import pytest
import torch
from torch.utils.data import IterableDataset, get_worker_info

from lab.data.batches import Batch
from lab.data.photo_source import Feed
from lab.data.shared_memory import SharedMemoryLoader

SIZE, TOGETHER = 32, 3


class Numbered(IterableDataset):
    """Samples whose pixels, holes and guides tell their number; ``counts`` of each process."""

    def __init__(self, counts):
        self.counts = counts

    def __iter__(self):
        process = get_worker_info()
        worker = 0 if process is None else process.id
        for number in range(1000 * worker, 1000 * worker + self.counts[worker]):
            pixels = torch.full((3, SIZE, SIZE), number % 251, dtype=torch.uint8)
            hole = torch.full((1, SIZE, SIZE), number % 2, dtype=torch.uint8)
            guide = torch.full((1, SIZE, SIZE), number / 4)
            yield Batch(pixels, hole, str(number), f"photo {number}", {"noise": guide})


def numbers_of(batch):
    numbers = list(map(int, batch.sample))
    for place, number in enumerate(numbers):
        assert (batch.pixels[place] == number % 251).all()
        assert (batch.holes[place] == number % 2).all()
        assert (batch.guides["noise"][place] == number / 4).all()
        assert batch.photo[place] == f"photo {number}"
    return numbers


@pytest.mark.parametrize("counts", [(40,), (40, 41), (4, 70)])
@pytest.mark.parametrize("in_processes", [True, False])
def test_batches_hold_their_samples_and_keep_them(counts, in_processes):
    feed = Feed(TOGETHER, None, len(counts) if in_processes else 0, 0)
    loader = SharedMemoryLoader(Numbered(counts), feed, SIZE, TOGETHER, seed=0)
    expected = [
        number
        for worker, count in enumerate(counts if in_processes else counts[:1])
        for number in range(1000 * worker, 1000 * worker + count)
    ]
    for _ in range(2):
        # All are looked at when the last has come.
        batches = list(loader)
        assert sorted(number for batch in batches for number in numbers_of(batch)) == expected
        # What was sent ahead when an epoch is given up is nobody's.
        given_up = iter(loader)
        assert [numbers_of(next(given_up))[0] for _ in counts] == [
            TOGETHER * turn if not in_processes else 1000 * turn for turn in range(len(counts))
        ]


def test_a_process_that_is_far_ahead_leaves_what_was_not_received():
    feed = Feed(TOGETHER, None, 1, 0)
    loader = SharedMemoryLoader(Numbered((18 * TOGETHER,)), feed, SIZE, TOGETHER, seed=0)
    sent = super(SharedMemoryLoader, loader).__iter__()
    for _ in range(2):
        held = [next(sent) for _ in range(6)]
        assert any(each.beside is not None for each in held)
        for each in held:
            numbers_of(loader._slots.receive(each, pinned=False))
    for each in sent:
        numbers_of(loader._slots.receive(each, pinned=False))
    # Nobody is behind by then.
    assert each.beside is None
