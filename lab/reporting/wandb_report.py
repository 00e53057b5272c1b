"""A W&B Report of a study whose runs are on W&B: panels by epoch, pictures, weights, findings."""

import os
from collections.abc import Mapping, Sequence
from typing import Any

import wandb
import wandb_workspaces.reports.v2 as wr
from wandb_workspaces import expr

from lab.parsing import SettingsError
from lab.reporting.offline_runs import require_login
from lab.reporting.pictures import find_photos
from lab.results import Run, Study, findings, score_text
from lab.studies.question import short_names
from lab.tracking.wandb_tracker import PROJECT
from lab.training import EPOCHS_TRAINED

_SHOWN_METRICS = ("hole_psnr", "hole_ssim", "rim_ssim", "whole_psnr")
_TABLE_ROWS = 20
_LONGEST_TITLE = 128
# W&B's grid of panels is 24 wide.
_WIDTH = 24


def publish_wandb_report(
    study: Study, entity: str | None = None, project: str | None = None
) -> str:
    """Build the report, save it on W&B, and return its address.

    Raises:
        SettingsError: nobody is logged in, or W&B does not take the report.
    """
    page = f"`python -m lab.report {study.folder}` makes a page that opens offline"
    require_login(page)
    try:
        owner = entity or wandb.Api().default_entity
        if not owner:
            raise SettingsError("W&B names no default entity for you: give --entity")
        report = build_wandb_report(study, owner, project)
        report.save()
    except SettingsError:
        raise
    except Exception as error:  # W&B's client raises errors of several libraries
        raise SettingsError(f"W&B did not take the report: {error}. Without W&B, {page}") from error
    return str(report.url)


def build_wandb_report(study: Study, entity: str, project: str | None = None) -> wr.Report:
    """Build the report; nothing is saved.

    Args:
        study: or a run opened as one; its runs were logged by `lab.tracking`, in one group.
        entity: user or team that the runs belong to.
        project: of the runs; default: as `lab.tracking` chooses it.
    """
    project = project or os.environ.get("WANDB_PROJECT", PROJECT)
    runset = wr.Runset(
        entity=entity,
        project=project,
        name=study.name,
        # A run outside of a study has no group; its name is its folder's.
        filters=[expr.Metric("Group" if study.is_study else "Name") == study.name],
    )
    return wr.Report(
        entity=entity,
        project=project,
        title=(study.question or study.name)[:_LONGEST_TITLE],
        description=f"Review of {study.name}",
        width="fluid",
        blocks=[
            wr.H2("What was found"),
            wr.MarkdownBlock(_findings(study)),
            wr.H2("Runs, epoch by epoch"),
            wr.PanelGrid(runsets=[runset], panels=_panels(study)),
        ],
    )


def _panels(study: Study) -> list[Any]:
    """All panels, laid out in rows from the top."""
    rows: list[tuple[int, list[Any]]] = [
        *_in_rows(_curves(study), across=4, height=8),
        *_in_rows(_pictures(study), across=2, height=10),
        *_in_rows(_weights(study), across=2, height=12),
        (10, [wr.RunComparer(diff_only="split")]),
    ]
    top = 0
    for height, row in rows:
        width = _WIDTH // len(row)
        for index, panel in enumerate(row):
            panel.layout = wr.Layout(x=width * index, y=top, w=width, h=height)
        top += height
    return [panel for _, row in rows for panel in row]


def _in_rows(panels: Sequence[Any], across: int, height: int) -> list[tuple[int, list[Any]]]:
    return [
        (height, list(panels[start : start + across])) for start in range(0, len(panels), across)
    ]


def _curves(study: Study) -> list[wr.LinePlot]:
    metrics = list(dict.fromkeys([*study.goals, *_SHOWN_METRICS]))
    return [
        wr.LinePlot(title=metric, x=EPOCHS_TRAINED, y=[f"val/{metric}"], title_x="epoch")
        for metric in metrics
    ]


def _pictures(study: Study) -> list[wr.MediaBrowser]:
    """A panel a photo: hole, stages and truth of every run side by side, a slider for the epoch."""
    names = dict.fromkeys(photo.name for photo in find_photos(study.runs))
    return [
        wr.MediaBrowser(title=name, media_keys=[f"visuals/{name}"], num_columns=5) for name in names
    ]


def _weights(study: Study) -> list[Any]:
    goal = f"val/{study.goals[0]}"
    paths = sorted({path for run in study.runs for path in run.values})
    if not paths:
        return []
    names = short_names(paths)
    config = _config(study)
    columns = [
        wr.ParallelCoordinatesPlotColumn(wr.Config(config_key(config, path)), names[path])
        for path in paths
    ]
    columns.append(wr.ParallelCoordinatesPlotColumn(wr.SummaryMetric(goal), study.goals[0]))
    return [
        wr.ParallelCoordinatesPlot(columns=columns),
        wr.ParameterImportancePlot(with_respect_to=goal),
    ]


def _config(study: Study) -> Mapping[str, Any]:
    for run in study.runs:
        if run.settings_text:
            config: Mapping[str, Any] = run.settings
            return config
    raise SettingsError(f"no run of {study.folder} has written its config.yaml")


def config_key(config: Mapping[str, Any], path: str) -> str:
    """An option's dotted path as it stands in a run's settings: with ``init_args`` on the way."""
    keys: list[str] = []
    here: Any = config
    for part in path.split("."):
        if isinstance(here, Mapping) and part not in here and "init_args" in here:
            keys.append("init_args")
            here = here["init_args"]
        keys.append(part)
        here = here.get(part) if isinstance(here, Mapping) else None
    return ".".join(keys)


def _findings(study: Study) -> str:
    """The findings and the result table, as Markdown."""
    lines = [f"- {_plain(sentence)}" for sentence in findings(study)]
    metrics = list(dict.fromkeys([*study.goals, "hole_psnr", "hole_ssim", "rim_ssim"]))
    paths = sorted({path for run in study.runs for path in run.values})
    names = short_names(paths) if paths else {}
    ranked = study.ranked[:_TABLE_ROWS]
    head = ["rank", "run", *metrics, "epoch", *(names[path] for path in paths)]
    table = [head, ["---"] * len(head)]
    for rank, run in enumerate(ranked, start=1):
        table.append([str(rank), *_row(run, metrics), *(_short(run.values.get(p)) for p in paths)])
    for run in (*study.applied, *study.entrants, *study.baselines):
        values = [_score(run, metric) for metric in metrics]
        table.append(["–", run.label, *values, "–", *["–"] * len(paths)])
    lines += ["", *("| " + " | ".join(map(_plain, row)) + " |" for row in table)]
    if len(study.ranked) > len(ranked):
        lines += ["", f"{len(study.ranked) - len(ranked)} further runs are left out."]
    when = "after its last epoch" if len(study.goals) > 1 else "at its best epoch"
    return "\n".join([*lines, "", f"Each run {when}; W&B's panels of weights take the last."])


def _row(run: Run, metrics: list[str]) -> list[str]:
    label = f"{run.label}, {run.trainings} seeds" if run.repeats else run.label
    return [label, *(_score(run, metric) for metric in metrics), str(run.best)]


def _score(run: Run, metric: str) -> str:
    if metric not in run.best_scores:
        return "–"
    return score_text(metric, run.mean(metric), run.spread(metric))


def _short(value: object) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str("–" if value is None else value)


def _plain(text: str) -> str:
    """Text that Markdown leaves as it is, also in a table."""
    return text.replace("|", "\\|").replace("<", "&lt;").replace("\n", " ")
