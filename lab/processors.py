"""How many processors this process may use."""

import os
from pathlib import Path

_CONTROL_GROUPS = Path("/sys/fs/cgroup")
_OWN_GROUPS = Path("/proc/self/cgroup")


def usable_processors() -> int:
    """Count the processors that this process may use, at least 1.

    Those of the machine, less what the process is not allowed to run on (``taskset``, a batch
    system), and no more than the time it gets: a container's limit of 1.5 processors (``cpu.max``
    of control groups, version 2) counts as 1, because a process that takes more is stopped for the
    rest of each period.
    """
    if hasattr(os, "sched_getaffinity"):
        allowed = len(os.sched_getaffinity(0))
    else:
        allowed = os.cpu_count() or 1
    return max(1, int(min([allowed, *_time_limits()])))


def _time_limits() -> list[float]:
    """Return the limits, in processors, of this process's control group and of those around it."""
    try:
        lines = _OWN_GROUPS.read_text().splitlines()
    except OSError:
        return []
    limits = []
    for line in lines:
        if not line.startswith("0::/"):
            continue  # a hierarchy of version 1
        group = _CONTROL_GROUPS / line.removeprefix("0::/")
        for place in (group, *group.parents):
            limit = place / "cpu.max"
            if not (place.is_relative_to(_CONTROL_GROUPS) and limit.is_file()):
                continue
            quota, period = limit.read_text().split()
            if quota != "max":
                limits.append(int(quota) / int(period))
    return limits
