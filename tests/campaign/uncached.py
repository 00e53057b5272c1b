"""Runs a command that keeps no photo in memory: ``uncached.py FOLDER NOTES python -m COMMAND``.

A set such as Places2 does not fit there, and of a few photos none would be read again after the
first epoch. Each file of FOLDER that is opened adds a byte to NOTES.
"""

import os
import runpy
import sys


def note_reads(folder: str, notes: str) -> None:
    """Have each file of a folder that this process opens add a byte to a file."""
    noted = os.open(notes, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    inside = os.path.realpath(folder) + os.sep

    def on_event(event: str, arguments: tuple) -> None:
        if event == "open" and isinstance(arguments[0], str | os.PathLike):
            if os.path.realpath(arguments[0]).startswith(inside):
                os.write(noted, b".")

    sys.addaudithook(on_event)


def main() -> None:
    folder, notes, _, _, module, *arguments = sys.argv[1:]
    # Of a script, this is its own folder.
    sys.path.pop(0)
    from lab.data import photo_data_module

    photo_data_module._CACHE_BYTES = 0
    note_reads(folder, notes)
    sys.argv = [module, *arguments]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
