"""The fault campaign: ``python -m tests.campaign``, or ``make campaign``. It takes hours.

Kills, disks that fail, mutated and hostile files, each as real processes, against what
``docs/reliability.md`` promises. Every finding is printed with the command that repeats it.
"""

import argparse
import os
import signal
import sys

# Before PyTorch is imported: what is run here is tiny.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("WANDB_MODE", "disabled")

from tests.campaign import CHECKS, NotHere
from tests.campaign.checks import Tally


def main() -> int:
    """Run the campaign; returns 1 where something was found."""
    options = argparse.ArgumentParser(
        prog="python -m tests.campaign", description=__doc__, allow_abbrev=False
    )
    add = options.add_argument
    add("--seed", type=int, default=0, metavar="N", help="of all that is drawn")
    add("--only", action="append", default=[], metavar="NAME", help="these checks; `list` lists")
    add("--count", type=int, metavar="N", help="cases of each check; default: the whole campaign's")
    add("--from", dest="first", type=int, default=0, metavar="N", help="the first case's number")
    add("--case", type=int, metavar="N", help="with --only: this case alone")
    add("--processes", type=int, default=2, metavar="N", help="that share out the cases")
    given = options.parse_args()
    # A shell switches it off in what it runs in the background.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    names = [check.name for check in CHECKS]
    if "list" in given.only:
        for check in CHECKS:
            print(f"{check.name:24} {check.count:6}  {check.promise}")
        return 0
    chosen = [
        check
        for check in CHECKS
        if not given.only or any(_is_of(check.name, asked) for asked in given.only)
    ]
    if not chosen:
        options.error(f"there is no check {given.only[0]}: {', '.join(names)}")
    tallies = []
    for check in chosen:
        count = check.count if given.count is None else given.count
        cases = (
            range(given.first, given.first + count)
            if given.case is None
            else range(given.case, given.case + 1)
        )
        print(f"{check.name}: {len(cases)} cases", flush=True)
        try:
            tally = check.tried(given.seed, cases, given.processes, _note)
        except NotHere as reason:
            tally = Tally(check.name, check.promise, skipped=str(reason))
        tallies.append(tally)
        print(_row(tally), flush=True)
        if tally.interrupted:
            break
    print("\n| tried | cases | survived | promised |\n|---|---|---|---|")
    for tally in tallies:
        print(_row(tally))
    return int(any(tally.findings for tally in tallies))


def _is_of(name: str, asked: str) -> bool:
    return name == asked or name.startswith(f"{asked}.")


def _note(text: str) -> None:
    print(text, flush=True)


def _row(tally: Tally) -> str:
    if tally.skipped:
        return f"| `{tally.name}` | 0 | not run: {tally.skipped} | {tally.promise} |"
    survived = tally.tried - tally.broken
    row = f"| `{tally.name}` | {tally.tried:,} | {survived:,} | {tally.promise} |"
    return f"{row} {tally.seconds / 60:.1f} min"


if __name__ == "__main__":
    sys.exit(main())
