"""What shows a claim of speed or quality: ``python -m tests.benchmarks.NAME``."""

import lab  # noqa: F401 (tells OpenMP how to wait, before a benchmark imports PyTorch)
