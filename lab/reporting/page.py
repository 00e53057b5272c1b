"""The review page: one folder, or one HTML file, that opens offline in any browser."""

import base64
import csv
import json
import math
import shlex
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from hashlib import sha256
from importlib import resources
from pathlib import Path
from string import Template
from tempfile import TemporaryDirectory
from typing import Any

import pandas as pd

from lab.files import replacing, replacing_folder
from lab.metrics import METRICS
from lab.reporting.pictures import (
    MAIN_STAGE,
    Photo,
    as_base64,
    find_photos,
    lay_out,
    shown_path,
    total_bytes,
)
from lab.reporting.plots import study_figures
from lab.results import Run, Study, findings
from lab.selection.votes import Pair, completions_of, draw_pairs
from lab.settings import SettingsError
from lab.studies.question import short_names

SCRIPTS = ("core.js", "tables.js", "pictures.js", "curves.js", "plots.js", "votes.js", "start.js")

# Browsers still open a page of so many pictures within a second or two; a folder holds any number.
SINGLE_FILE_BYTES = 60_000_000

# Enough to tell a few checkpoints apart in a quarter of an hour.
_VOTES = 60
_VOTE_RUNS = 6

# Tables that other commands leave in a study's folder, shown as they are.
TABLES = {"board.csv": "Board of variants", "selection.csv": "Choice of checkpoints"}

_MARK = "<!-- background inpainting: review page -->"


def write_report(study: Study, output: Path, single_file: bool = False) -> list[str]:
    """Write the page whole or not at all; what was there before is replaced.

    Args:
        study: what to show.
        output: a folder that gets ``index.html``, or with ``single_file`` the HTML file.
        single_file: put everything into one file; pictures as base64.

    Returns:
        list[str]: what a person should know: what was left out.

    Raises:
        SettingsError: something else lies at ``output``, or the pictures are too many for one file.
    """
    _refuse_foreign(output, single_file)
    photos = find_photos(study.runs)
    if not single_file:
        with replacing_folder(output) as folder:
            lay_out(photos, study.runs, folder / "pictures", None)
            (folder / "index.html").write_text(
                _html(_page_data(study, photos, None), {}), encoding="utf-8"
            )
        return []
    notes: list[str] = []
    stages = None
    if total_bytes(photos, None) > SINGLE_FILE_BYTES:
        stages = [MAIN_STAGE]
        notes.append(
            f"One file holds only the {MAIN_STAGE} pictures: all stages would take "
            f"{total_bytes(photos, None) / 1e6:.0f} MB. The folder form shows everything"
        )
    size = total_bytes(photos, stages)
    if size > SINGLE_FILE_BYTES:
        raise SettingsError(
            f"{size / 1e6:.0f} MB of pictures are too much for one file (at most "
            f"{SINGLE_FILE_BYTES / 1e6:.0f} MB): leave --single-file out"
        )
    with TemporaryDirectory() as temporary_folder:
        pictures = lay_out(photos, study.runs, Path(temporary_folder), stages)
        text = _html(_page_data(study, photos, stages), as_base64(pictures))
    with replacing(output) as temporary:
        temporary.write_text(text, encoding="utf-8")
    return notes


def _refuse_foreign(output: Path, single_file: bool) -> None:
    """Raise where the output would replace something that is no report."""
    if not output.exists():
        return
    page = output if single_file else output / "index.html"
    if single_file and output.is_dir():
        raise SettingsError(f"{output} is a folder, but --single-file writes a file: name one")
    empty = output.is_dir() and not any(output.iterdir())
    if not empty and not (page.is_file() and _MARK in page.read_text("utf-8", "replace")[:400]):
        raise SettingsError(f"{output} exists and is no review page: choose another name with -o")


def _html(data: Mapping[str, Any], pictures: Mapping[str, Mapping[str, str]]) -> str:
    assets = resources.files("lab.reporting") / "assets"
    script = (
        "(() => {\n'use strict';\n"
        + "\n".join((assets / name).read_text("utf-8") for name in SCRIPTS)
        + "\n})();"
    )
    plots = data["figures"]
    library = resources.files("plotly") / "package_data" / "plotly.min.js"
    # As text that does not run: it is parsed when the first plot comes into view.
    plotting = library.read_text("utf-8") if plots else ""
    if "</script" in plotting.lower():
        raise AssertionError("plotly's JavaScript cannot stand in a script element as it is")
    return Template((assets / "page.html").read_text("utf-8")).substitute(
        mark=_MARK,
        hashes=" ".join(f"'{_hash(text)}'" for text in (script, plotting) if text),
        # The only text of the study outside the data; it is shown before any script runs.
        title=_escape(f"{data['name']} – review"),
        style=(assets / "page.css").read_text("utf-8"),
        data=_json(data),
        pictures="\n".join(
            f'<script type="text/plain" id="{group}">'
            + "\n".join(f"{name} {code}" for name, code in texts.items())
            + "</script>"
            for group, texts in pictures.items()
        ),
        plotting=plotting,
        script=script,
    )


def _hash(text: str) -> str:
    return "sha256-" + base64.b64encode(sha256(text.encode("utf-8")).digest()).decode()


def _json(value: Any) -> str:  # noqa: ANN401 (any JSON value)
    """JSON that can stand in a script element: no text in it can end the element."""
    text = json.dumps(value, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _escape(text: str) -> str:
    for letter, entity in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"), ('"', "&quot;")):
        text = text.replace(letter, entity)
    return text


def _page_data(
    study: Study, photos: Sequence[Photo], stages: Sequence[str] | None
) -> dict[str, Any]:
    paths = sorted({path for run in study.runs for path in run.values})
    measured = {metric for run in study.runs for metric in run.scores.columns}
    scored = max(study.runs, key=lambda run: len(run.best_scores))
    return {
        "name": study.name,
        "folder": shown_path(study.folder),
        "isStudy": study.is_study,
        "question": study.question,
        "findings": findings(study),
        "written": datetime.now(UTC).isoformat(timespec="seconds"),
        "goals": list(study.goals),
        "metrics": {
            name: {
                "higher": metric.higher_is_better,
                "unit": metric.unit,
                "definition": metric.definition,
            }
            for name, metric in METRICS.items()
            if name in measured
        },
        "names": short_names(paths) if paths else {},
        "validated": scored.rests_on,
        "photos": [_photo(photo, study.runs) for photo in photos],
        "runs": [_run(run, photos, stages) for run in study.runs],
        "figures": {}
        if study.optuna_study is None
        else study_figures(study.optuna_study, list(study.goals)),
        "tables": _tables(study.folder),
        "deck": _deck(study, photos),
    }


def _photo(photo: Photo, runs: Sequence[Run]) -> dict[str, Any]:
    scored = (run.best_scores for run in runs if photo.name in run.best_scores.index)
    ratio = next((float(scores.loc[photo.name, "hole_ratio"]) for scores in scored), None)
    return {"name": photo.name, "ratio": ratio}


def _run(run: Run, photos: Sequence[Photo], stages: Sequence[str] | None) -> dict[str, Any]:
    means = run.epochs
    spreads = run.scores[means.columns].groupby(level="epoch").std()
    checkpoint = run.checkpoint
    return {
        "name": run.name,
        "label": run.label,
        "state": run.state,
        "reason": run.reason,
        "untrained": run.is_untrained,
        "reference": run.is_reference,
        "values": dict(run.values),
        "best": run.best,
        "epochs": [int(epoch) for epoch in means.index],
        "means": {metric: _numbers(means[metric]) for metric in means},
        "spreads": {metric: _numbers(spreads[metric]) for metric in spreads},
        # By pictured photo, then by metric, a value an epoch.
        "scores": [_photo_scores(run, photo.name) for photo in photos],
        # By pictured photo, then by stage, the epochs that have a picture.
        "pictures": [
            {
                stage: sorted(epochs)
                for stage, epochs in photo.epochs.get(run.name, {}).items()
                if stages is None or stage in stages
            }
            for photo in photos
        ],
        "config": run.settings_text,
        "train": None
        if run.is_untrained or not run.settings_text
        else "python -m lab.train --config "
        + shlex.quote(shown_path(run.folder / "config.yaml"))
        + " --name "
        + shlex.quote(f"{run.folder.name}-again"),
        "use": None
        if checkpoint is None
        else "python -m lab.inpaint PHOTO --mask MASK -o OUT --checkpoint "
        + shlex.quote(shown_path(checkpoint)),
    }


def _photo_scores(run: Run, sample: str) -> dict[str, list[float | None]]:
    if sample not in run.scores.index.get_level_values("sample"):
        return {}
    scores = run.scores.xs(sample, level="sample")[run.epochs.columns]
    return {str(metric): _numbers(values) for metric, values in scores.items()}


def _numbers(values: pd.Series) -> list[float | None]:
    """Five digits are more than is shown; a value that is missing is null."""
    return [float(f"{value:.5g}") if math.isfinite(value) else None for value in values]


def _tables(folder: Path) -> dict[str, list[list[str]]]:
    tables = {}
    for name, title in TABLES.items():
        if (folder / name).exists():
            with (folder / name).open(newline="") as file:
                tables[title] = [row for row in csv.reader(file) if row]
    return tables


def _deck(study: Study, photos: Sequence[Photo]) -> list[dict[str, Any]]:
    """Pairs for blind votes: the best epochs of the best runs, or the epochs of the only run."""
    if study.is_study and not (study.folder / "trials").is_dir():
        return []  # votes name checkpoints by trial
    completions = completions_of(study)
    chosen = None
    if study.is_study:
        chosen = [f"{run.name}/epoch-{run.best:03d}" for run in study.ranked[:_VOTE_RUNS]]
    numbers = {photo.name: index for index, photo in reversed(list(enumerate(photos)))}
    pairs = draw_pairs(completions, count=_VOTES, seed=0, checkpoints=chosen)
    return [
        {
            "pair": pair.pair,
            "photo": pair.photo,
            "index": numbers[pair.photo],
            "left": pair.left,
            "right": pair.right,
        }
        for pair in pairs
        if pair.photo in numbers and _is_pictured(photos[numbers[pair.photo]], pair, study)
    ]


def _is_pictured(photo: Photo, pair: Pair, study: Study) -> bool:
    """Whether both sides saw this photo with this hole."""
    names = (name.rpartition("/")[0] or study.runs[0].name for name in (pair.left, pair.right))
    return all(name in photo.epochs for name in names)
