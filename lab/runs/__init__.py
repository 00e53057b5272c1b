"""One run from settings to files: fit, resume, evaluate."""

from lab.runs.beginning import (
    change_of_devices,
    computes_in_bfloat16,
    has_ended,
    holding_run,
    is_first_machine,
    refuse_evaluation,
    refuse_missing_device,
    refuse_missing_means,
    refuse_other_settings,
    settle,
)
from lab.runs.contents import FOUND_ANYWHERE, contents
from lab.runs.evaluating import (
    evaluate_baselines,
    evaluate_entrants,
    evaluate_run,
    make_room,
    make_room_for_sets,
    open_tasks,
    rebuild,
    reopen_tasks,
    visuals_of,
)
from lab.runs.fitting import StepProgress, TimeLeft, fit_run

__all__ = [
    "FOUND_ANYWHERE",
    "StepProgress",
    "TimeLeft",
    "change_of_devices",
    "computes_in_bfloat16",
    "contents",
    "evaluate_baselines",
    "evaluate_entrants",
    "evaluate_run",
    "fit_run",
    "has_ended",
    "holding_run",
    "is_first_machine",
    "make_room",
    "make_room_for_sets",
    "open_tasks",
    "rebuild",
    "refuse_evaluation",
    "refuse_missing_device",
    "refuse_missing_means",
    "refuse_other_settings",
    "reopen_tasks",
    "settle",
    "visuals_of",
]
