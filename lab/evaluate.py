"""Score networks, methods and other programs' pictures on the same photos and holes.

On the validation photos of the settings; on a fixed set: photos under holes of every size
(``data_prep.evaluation_sets``), or people really removed from a clip (``data_prep.clean_plate``);
or on two plain folders of photos and masks. Any strategy can be put around a network. A program
that is not here enters by its pictures: --hand-out writes the holes for it, --entrant scores what
it made of them, with --study among the trials of a study.
"""

import argparse
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from lab.command_line import INTERRUPTED, CommandParser, complain, run_command, say

if TYPE_CHECKING:
    from lab.data import Entrant
    from lab.evaluation import Tasks
    from lab.results import Study
    from lab.settings import Experiment
    from lab.terminal import Terminal

EXAMPLE = """\
  python -m lab.evaluate --checkpoint runs/first/checkpoints/epoch-005.pt --set sets/test1
  python -m lab.evaluate --checkpoint runs/first/checkpoints/epoch-005.pt --set triplets \\
      --evaluation.dilation=10 --name removals
  python -m lab.evaluate --checkpoint runs/first/checkpoints/epoch-005.pt --data.photos=photos \\
      --variant=tiled --name tiled
  python -m lab.evaluate --checkpoint runs/first/checkpoints/epoch-005.pt --set sets/test1 \\
      --evaluation.boundary_attack=0.3 --name attacked
  python -m lab.evaluate --set sets/test1 --hand-out holes    # for a program that is not here
  python -m lab.evaluate --set sets/test1 --entrant service=ANSWERS --entrant other=ANSWERS
  python -m lab.evaluate --photos PHOTOS --masks MASKS --entrant service=ANSWERS --removal
  python -m lab.evaluate --study STUDY --hand-out holes       # such as runs/loss_weights
  python -m lab.evaluate --study STUDY --entrant service=ANSWERS
  python -m lab.evaluate --table compression --checkpoint full=FILE --checkpoint 600m=FILE \\
      --set sets/valid sets/test1 sets/test2
"""

# The one setting that may be given of a study.
_PHOTOS_ELSEWHERE = "--data.photos="
# Options that say what is scored: what is handed out is scored by the same.
_WHAT = ("config", "set", "photos", "masks", "mask_polarity", "study")
# Those that a study leaves no room for: what it is scored on is settled, and where it lies.
_NOT_OF_A_STUDY = (
    *("checkpoint", "config", "variant", "set", "photos", "masks", "baseline"),
    *("also", "table", "name"),
)


def parser() -> CommandParser:
    """The command's options."""
    options = CommandParser("evaluate", __doc__ or "", EXAMPLE)
    add = options.add_argument
    add(
        "--checkpoint",
        action="append",
        default=[],
        metavar="[NAME=]FILE",
        help="a run's epoch-NNN.pt, or a published network; several may be given, each with a name",
    )
    add(
        "--entrant",
        action="append",
        default=[],
        metavar="NAME=FOLDER",
        help="what another program made: pictures called like the samples, of their size; may be "
        "given several times",
    )
    add(
        "--config",
        type=Path,
        metavar="FILE",
        help="a run's config.yaml: score as it was scored, with its strategy; options go on top",
    )
    options.add_variant()
    add(
        "--set",
        type=Path,
        nargs="+",
        metavar="DIR",
        help="sets made by data_prep, each scored by itself; default: validation",
    )
    add("--photos", type=Path, metavar="DIR", help="in place of a set: a folder of photos")
    add("--masks", type=Path, metavar="DIR", help="with --photos: their masks, called alike")
    add(
        "--mask-polarity",
        choices=("white-is-hole", "black-is-hole"),
        help="which colour marks the hole in --masks; default: what the entrants' pictures or the "
        "masks themselves say, which is told",
    )
    add(
        "--removal",
        action="store_true",
        help="--photos still hold what is to be removed, so that nobody knows what is right: "
        "measure what needs no truth",
    )
    add(
        "--study",
        type=Path,
        metavar="DIR",
        help="in place of a set: what the trials of this study were scored on, and entrants take "
        "their place among them, in its tables, page and votes",
    )
    add(
        "--paste-known",
        action="store_true",
        help="put the photos' own pixels outside the hole of what entrants delivered; default: "
        "score it as it is, and say what was changed",
    )
    add(
        "--hand-out",
        type=Path,
        metavar="DIR",
        help="write the photos with their holes, and masks, for another program; score nothing",
    )
    add(
        "--baseline",
        action="append",
        metavar="METHOD",
        help="compare with this method without a network; may be given several times; default: "
        "those that are quick at the samples' size; `lab.inpaint --method list` lists them all",
    )
    add(
        "--also",
        nargs="+",
        default=[],
        choices=("lpips", "dists", "vsi", "fid", "kid", "inception_score"),
        help="measure these, too, which take longer: lpips, dists and vsi a photo, the others all "
        "photos together; but for vsi, weights are downloaded once",
    )
    add(
        "--table",
        choices=("compression",),
        help="print the deployment notes' tables in place of the usual ones: SSIM, PSNR and RMSE "
        "by hole ratio and set, then what each checkpoint costs, the first one the reference",
    )
    add("--pictured", type=int, default=12, metavar="N", help="samples to picture; default: 12")
    add("--name", metavar="RUN", help="the run's folder below --runs; default: evaluation")
    add("--runs", type=Path, default=Path("runs"), metavar="DIR", help="where runs lie")
    return options


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit status."""
    options = parser()
    given, settings = options.parse_with_settings(arguments)
    if "list" in given.variant:
        from lab.variants import print_variants

        print_variants()
        return 0
    _refuse_contradictions(options, given, [word for word in settings if "=" in word])
    # After parsing: PyTorch takes seconds to import, and --help should not wait for it.
    from lab.faults import in_one_line
    from lab.runs import open_tasks
    from lab.terminal import Terminal

    console = Terminal()
    try:
        if given.study is not None:
            _enter_study(given, settings, console)
        elif given.hand_out is not None:
            (scored,) = _scored_settings(given, console).values()
            tasks = open_tasks(_experiment(given, [*settings, *scored]))
            _hand_out(given, tasks, settings, console)
        else:
            _evaluate_all(given, settings, console)
    except KeyboardInterrupt:
        return INTERRUPTED
    except Exception as error:
        complain(in_one_line(error))
        return 2
    return 0


def _refuse_contradictions(
    options: CommandParser, given: argparse.Namespace, settings: Sequence[str]
) -> None:
    if given.study is not None:
        several = [name for name in _NOT_OF_A_STUDY if getattr(given, name)]
        others = [word for word in settings if not word.startswith(_PHOTOS_ELSEWHERE)]
        if several or others:
            option = f"--{several[0]}" if several else others[0].partition("=")[0]
            options.error(
                f"--study and {option} do not go together: a study has its photos, holes and "
                "settings already. Give --entrant NAME=FOLDER, or --hand-out DIR; and "
                f"{_PHOTOS_ELSEWHERE}DIR, where its photos lie elsewhere now"
            )
    if given.hand_out is None and not (given.checkpoint or given.entrant or given.baseline):
        options.error("--checkpoint FILE is missing, or --entrant NAME=FOLDER")
    if given.hand_out is not None and (given.checkpoint or given.entrant):
        options.error("--hand-out scores nothing: leave --checkpoint and --entrant for later")
    if (given.photos is None) != (given.masks is None):
        options.error("--photos and --masks go together")
    if given.photos is not None and given.set is not None:
        options.error("--set and --photos are two things to score: give one")
    if len({path.name for path in given.set or ()}) < len(given.set or ()):
        options.error("two of --set have one name, and would be scored in one folder: rename one")
    if given.hand_out is not None and len(given.set or ()) > 1:
        options.error("--hand-out takes one --set")
    if given.table is not None and (not given.checkpoint or given.removal):
        options.error("--table is of networks, and of photos with a truth: give --checkpoint")
    if given.photos is None and (given.mask_polarity or given.removal):
        options.error("--mask-polarity and --removal go with --photos and --masks")
    if given.paste_known and not given.entrant:
        options.error("--paste-known goes with --entrant: networks are pasted by their strategy")
    if given.pictured < 0:
        options.error(f"--pictured must not be negative, but is {given.pictured}")


def _scored_settings(given: argparse.Namespace, console: "Terminal") -> dict[str, list[str]]:
    """The settings of each thing that is scored, by its name.

    Says which colour was taken for the hole, and why.
    """
    if given.set is not None:
        return {path.name: [f"--evaluation.set={path.resolve()}"] for path in given.set}
    if given.photos is None:
        return {"validation": []}
    from lab.data import find_polarity, open_entrant, pair_folders, parse_entrant
    from lab.imaging import read_source

    pairs, left_out = pair_folders(given.photos, given.masks)
    for sentence in left_out:
        say(f"note: {sentence}", error=True)
    answers: dict[str, list[Path]] = {}
    if given.entrant:
        # What cannot be scored is refused as such, before it could say nothing of the masks.
        sizes = {}
        for photo, _ in pairs:
            source = read_source(photo)
            sizes[photo.stem] = source.height, source.width
        for name, folder in map(parse_entrant, given.entrant):
            for sample, path in open_entrant(name, folder, sizes).files.items():
                answers.setdefault(sample, []).append(path)
    polarity = given.mask_polarity
    if polarity is not None and answers:
        # Stated, it holds; but what the answers say is not kept back.
        try:
            found = find_polarity(pairs, answers)
            if found.polarity != polarity:
                say(f"note: --mask-polarity is {polarity}, but {found.why}", error=True)
        except ValueError as error:
            say(f"note: {error}", error=True)
    if polarity is None:
        found = find_polarity(pairs, answers)
        polarity = found.polarity
        hole, known = ("white", "black") if polarity == "white-is-hole" else ("black", "white")
        console.print(
            f"Masks: {hole} is the hole and {known} is known, since {found.why}. --mask-polarity "
            "says otherwise",
            soft_wrap=True,
            highlight=False,
        )
    return {
        given.photos.name: [
            f"--evaluation.photos={given.photos.resolve()}",
            f"--evaluation.masks={given.masks.resolve()}",
            f"--evaluation.mask_polarity={polarity}",
            f"--evaluation.removal={str(given.removal).lower()}",
        ]
    }


def _experiment(given: argparse.Namespace, settings: Sequence[str]) -> "Experiment":
    from lab.settings import build_experiment, parse_experiment

    return build_experiment(parse_experiment(settings, given.config))


def _enter_study(given: argparse.Namespace, settings: Sequence[str], console: "Terminal") -> None:
    """Score entrants on what a study's trials were scored on, in its folder; or hand that out."""
    from lab.results import open_study
    from lab.runs import evaluate_entrants, holding_run, reopen_tasks
    from lab.studies import print_scores

    study = open_study(given.study, networks=False)
    tasks = reopen_tasks(study, settings)
    if given.hand_out is not None:
        _hand_out(given, tasks, settings, console)
        return
    console.print(tasks.summary(), soft_wrap=True, highlight=False)
    entrants = _open_entrants(given, tasks)
    _refuse_clash(entrants, [run.label for run in study.runs if run.state != "entrant"])
    with holding_run(given.study / "entrants"):
        said = evaluate_entrants(
            tasks, entrants, given.study, given.paste_known, given.pictured, beside_others=True
        )
    for sentence in said:
        console.print(sentence, soft_wrap=True, highlight=False)
    study = open_study(given.study, networks=False)
    shown = [study.compared_with, *study.entrants, *study.baselines]
    print_scores(study, console, [run for run in shown if run is not None])


def _refuse_clash(entrants: Sequence["Entrant"], others: Collection[str]) -> None:
    from lab.checks import UserError

    if clash := {entrant.name for entrant in entrants} & set(others):
        raise UserError(f"two things would be called {min(clash)}: give the entrant another name")


def _hand_out(
    given: argparse.Namespace, tasks: "Tasks", settings: Sequence[str], console: "Terminal"
) -> None:
    from lab.handing_out import FORMS, hand_out, score_command

    console.print(tasks.summary(), soft_wrap=True, highlight=False)
    said = {name: getattr(given, name) for name in _WHAT if getattr(given, name) is not None}
    what = [
        word
        for name, value in said.items()
        for word in (f"--{name.replace('_', '-')}", str(value[0] if name == "set" else value))
    ]
    score = score_command([*what, *(["--removal"] if given.removal else []), *settings])
    count = hand_out(tasks, given.hand_out, score)
    say(f"{count} holes are in {given.hand_out}, each in {len(FORMS)} forms ({', '.join(FORMS)})")
    say(f"Then: {score}")


def _evaluate_all(given: argparse.Namespace, settings: Sequence[str], console: "Terminal") -> None:
    """Score each set, and print what came out: a set at a time, or all in one table."""
    from lab.runs import holding_run, make_room_for_sets
    from lab.studies import print_scores

    folder = given.runs / (given.name or "evaluation")
    scored = _scored_settings(given, console)
    if given.also:
        settings = [*settings, f"--evaluation.also=[{','.join(given.also)}]"]
    studies, sides = {}, []
    if len(scored) > 1:
        with holding_run(folder):
            make_room_for_sets(folder, list(scored))
    for name, words in scored.items():
        own = folder if len(scored) == 1 else folder / name
        studies[name], side = _evaluate(given, [*settings, *words], own, console)
        sides.append(side)
        if given.table is None:
            print_scores(studies[name], console)
    if given.table is not None:
        words = next(iter(scored.values()))
        _print_compression(given, [*settings, *words], studies, sides[0], console)


def _print_compression(
    given: argparse.Namespace,
    settings: Sequence[str],
    studies: dict[str, "Study"],
    side: int,
    console: "Terminal",
) -> None:
    from lab.cost import measure_cost
    from lab.networks import load_network
    from lab.studies import print_compression, write_compression

    folder = given.runs / (given.name or "evaluation")
    networks = _named_networks(given.checkpoint)
    costs = {}
    for name, checkpoint in networks.items():
        experiment = _experiment(given, settings)
        network = load_network(checkpoint)
        experiment.model.take_network(network)
        label = name or next(iter(studies.values())).trials[0].label
        costs[label] = measure_cost(experiment.model.strategy, network, side)
    table = print_compression(studies, costs, side, console)
    path = write_compression(table, costs, folder)
    console.print(f"The same numbers are in {path}", soft_wrap=True, highlight=False)


def _evaluate(
    given: argparse.Namespace, settings: Sequence[str], folder: Path, console: "Terminal"
) -> tuple["Study", int]:
    """Score everything on one set; what that left, and the longest side of its photos."""
    from lab.results import open_study
    from lab.runs import (
        evaluate_baselines,
        evaluate_entrants,
        evaluate_run,
        holding_run,
        make_room,
        open_tasks,
    )
    from lab.strategies import baselines

    tasks = open_tasks(_experiment(given, settings))
    asked = [] if given.table is not None and given.baseline is None else given.baseline
    methods = baselines(tasks.side, asked)
    console.print(tasks.summary(), soft_wrap=True, highlight=False)
    entrants = _open_entrants(given, tasks)
    networks = _named_networks(given.checkpoint)
    _refuse_clash(entrants, [*methods, *networks])
    alone = len(networks) == 1 and "" in networks
    with holding_run(folder):
        make_room(folder, alone, networks)
        for name, checkpoint in networks.items():
            # Each takes its own network, and may draw guides of its own.
            experiment = _experiment(given, settings)
            tasks = open_tasks(experiment)
            own = folder if alone else folder / "networks" / name
            evaluate_run(
                experiment, tasks, checkpoint, own, name or folder.name, pictured=given.pictured
            )
        said = evaluate_entrants(tasks, entrants, folder, given.paste_known, given.pictured)
        evaluate_baselines(tasks, methods, folder, given.pictured)
    for sentence in said:
        console.print(sentence, soft_wrap=True, highlight=False)
    return open_study(folder), tasks.side


def _open_entrants(given: argparse.Namespace, tasks: "Tasks") -> list["Entrant"]:
    from lab.checks import UserError
    from lab.data import open_entrant, parse_entrant

    named = [parse_entrant(text) for text in given.entrant]
    for name, _ in named:
        if [other for other, _ in named].count(name) > 1:
            raise UserError(f"two entrants are called {name}: give each its own name")
    if not named:
        return []
    sizes = tasks.sizes()
    entrants = [open_entrant(name, folder, sizes) for name, folder in named]
    for entrant in entrants:
        for note in entrant.notes():
            say(f"note: {note}", error=True)
    return entrants


def _named_networks(given: Sequence[str]) -> dict[str, Path]:
    """The checkpoints by their names; one alone needs none."""
    from lab.checks import UserError
    from lab.data import parse_entrant

    networks: dict[str, Path] = {}
    for text in given:
        named = "=" in text and not Path(text).expanduser().exists()
        name, path = parse_entrant(text) if named else ("", Path(text).expanduser())
        if not name and len(given) > 1:
            raise UserError(f"of several checkpoints each needs a name: --checkpoint NAME={text}")
        if name in networks:
            raise UserError(f"two checkpoints are called {name}: give each its own name")
        networks[name] = path
    return networks


if __name__ == "__main__":
    run_command(main)
