"""What settings name on disk is what it holds, wherever it lies.

Machines keep photos and networks at paths of their own, a job even in a folder of its own; so
settings are compared by content where they name some.
"""

from collections.abc import Mapping
from typing import Any

from lab.files import file_sha256
from lab.formats.plain import flatten
from lab.settings import Experiment

FOUND_ANYWHERE = frozenset(
    {"data.photos", "evaluation.set", "evaluation.photos", "evaluation.masks"}
)
"""Settings whose content is compared by a digest of its own (`lab.evaluation.Tasks.digest`)."""


def contents(experiment: Experiment) -> dict[str, str]:
    """What the files hold that settings name: by the setting's path, their SHA-256.

    A file that is not there, which a run that goes on may not need any more, has none.

    Raises:
        OSError: one cannot be read.
    """
    return {
        setting: f"SHA-256 {file_sha256(file)[:16]}"
        for setting, file in experiment.files.items()
        if setting not in FOUND_ANYWHERE and file.is_file()
    }


def by_content(settings: Mapping[str, Any], held: Mapping[str, str]) -> dict[str, Any]:
    """Nested settings by dotted path, with what files hold in place of where they lie.

    Args:
        settings: of a run.
        held: what `contents` said of them.
    """
    flat = {path: value for path, value in flatten(settings) if path not in FOUND_ANYWHERE}
    return flat | {path: held[path] for path in flat.keys() & held.keys()}
