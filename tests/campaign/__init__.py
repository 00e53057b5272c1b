"""The fault campaign: ``python -m tests.campaign --only list`` says what it tries."""

from tests.campaign import disks, hostile, inputs, kills, machines
from tests.campaign.checks import NotHere

CHECKS = (
    *kills.CHECKS,
    *disks.CHECKS,
    *machines.CHECKS,
    *hostile.CHECKS,
    *inputs.CHECKS,
)

__all__ = ["CHECKS", "NotHere"]
