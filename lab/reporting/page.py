"""The review page: one folder, or one HTML file, that opens offline in any browser."""

from pathlib import Path
from tempfile import TemporaryDirectory

from lab.files import replacing, replacing_folder
from lab.parsing import SettingsError
from lab.reporting.content import page_data
from lab.reporting.document import refuse_foreign, study_document
from lab.reporting.pictures import (
    MAIN_STAGE,
    as_base64,
    find_photos,
    lay_out,
    total_bytes,
    write_serial,
)
from lab.results import Study

# Browsers still open a page of so many pictures within a second or two; a folder holds any number.
SINGLE_FILE_BYTES = 60_000_000


def write_report(
    study: Study, output: Path, single_file: bool = False, serial: int | None = None
) -> list[str]:
    """Write the page whole or not at all; what was there before is replaced.

    Args:
        study: what to show.
        output: a folder that gets ``index.html``, or with ``single_file`` the HTML file.
        single_file: put everything into one file; pictures as base64.
        serial: number of this version: a page in a folder then waits for another one, and shows it.

    Returns:
        list[str]: what a person should know: what was left out.

    Raises:
        SettingsError: something else lies at ``output``, or the pictures are too many for one file.
    """
    refuse_foreign(output, single_file)
    photos = find_photos(study.runs)
    if not single_file:
        with replacing_folder(output) as folder:
            lay_out(photos, study.runs, folder / "pictures", None)
            if serial is not None:
                write_serial(folder, serial)
            (folder / "index.html").write_text(
                study_document(page_data(study, photos, None, serial), {}), encoding="utf-8"
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
        text = study_document(page_data(study, photos, stages), as_base64(pictures))
    with replacing(output) as temporary:
        temporary.write_text(text, encoding="utf-8")
    return notes
