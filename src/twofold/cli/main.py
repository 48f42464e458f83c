"""The command line: each command imports its program when it is called, so that help answers at once."""

import io
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

from tyro.conf import OmitArgPrefixes, Positional, arg

from twofold import __version__
from twofold.cli.arguments import COMMON, AllowOutside, Beside, BesidePx, Cache, CommonFlags, Data, Run
from twofold.cli.curation import clean, distill, explore, export, pick, predict, search
from twofold.cli.failures import told
from twofold.cli.parsing import parse
from twofold.cli.training import bench, launch, pretrain
from twofold.distributed.process import stop_with_launcher
from twofold.hardware.allocator import keep_freed_memory
from twofold.recipes.flags import ReadingFlags

FinetuneSchedule = Annotated[
    str,
    arg(
        help="how networks are trained: tuned (fine-tuning starts as the linear probe; rate, length and more are "
        "chosen on the labels) or paper (a random classifier, 60 or 30 epochs)"
    ),
]
FinetuneEpochs = Annotated[
    float | None, arg(help="passes over the labelled images when a network is trained (default: by the schedule)")
]


def evaluate(
    run: Run,
    /,
    data: Annotated[str, arg(help="labelled images, in any form that 'twofold pretrain' takes")],
    protocol: Annotated[
        tuple[str, ...],
        arg(
            help="knn, linear (L-BFGS on frozen h), layers (the same on the head's layers too), sgd (linear on "
            "augmented views), finetune, self-train (also on train images whose labels are not given), supervised "
            "(from scratch)"
        ),
    ] = ("knn", "linear"),
    label_fraction: Annotated[tuple[float, ...], arg(help="shares of the labels to measure with: 0.01 0.1 1")] = (),
    shots: Annotated[tuple[int, ...], arg(help="numbers of labels per class to measure with")] = (1, 5, 10, 50),
    seeds: Annotated[int, arg(help="seeds with all labels, with fractions of them, and of trained networks")] = 5,
    few_seeds: Annotated[int, arg(help="seeds of k-NN and linear with few labels per class")] = 20,
    finetune_from: Annotated[str, arg(help="layer to fine-tune from: h, head-1, ..., z")] = "h",
    finetune_schedule: FinetuneSchedule = "tuned",
    finetune_epochs: FinetuneEpochs = None,
    self_train_steps: Annotated[
        int, arg(help="length of self-training, each step on 32 images with labels and 128 without")
    ] = 3000,
    beside: Beside = (),
    beside_px: BesidePx = None,
    common: OmitArgPrefixes[CommonFlags] = COMMON,
    reading: OmitArgPrefixes[ReadingFlags] = ReadingFlags(),  # noqa: B008
) -> None:
    """Measure a run on labelled images, with all labels and with few, next to an untrained encoder and raw pixels."""
    from twofold.programs.evaluate import evaluate

    evaluate(
        run,
        data=data,
        protocol=protocol,
        label_fraction=label_fraction,
        shots=shots,
        seeds=seeds,
        few_seeds=few_seeds,
        finetune_from=finetune_from,
        finetune_schedule=finetune_schedule,
        finetune_epochs=finetune_epochs,
        self_train_steps=self_train_steps,
        beside=beside,
        beside_px=beside_px,
        **common,
        **reading,
    )


def transfer(
    run: Run,
    /,
    to: Annotated[tuple[str, ...], arg(help="labelled data sets, each in any form that 'twofold pretrain' takes")],
    protocol: Annotated[
        tuple[str, ...], arg(help="linear, knn, sgd, finetune, supervised (from scratch; always with finetune)")
    ] = ("linear", "finetune"),
    seeds: Annotated[int, arg(help="seeds of every row")] = 3,
    beside: Beside = (),
    beside_px: BesidePx = None,
    finetune_schedule: FinetuneSchedule = "tuned",
    finetune_epochs: FinetuneEpochs = None,
    common: OmitArgPrefixes[CommonFlags] = COMMON,
    reading: OmitArgPrefixes[ReadingFlags] = ReadingFlags(),  # noqa: B008
) -> None:
    """Measure a run on other data sets, next to an untrained encoder, raw pixels, training from scratch and others."""
    from twofold.programs.transfer import transfer

    transfer(
        run,
        to=to,
        protocol=protocol,
        seeds=seeds,
        beside=beside,
        beside_px=beside_px,
        finetune_schedule=finetune_schedule,
        finetune_epochs=finetune_epochs,
        **common,
        **reading,
    )


def study(
    name: Annotated[Positional[str], arg(help="name of a study; 'list' describes them all")],
    /,
    data: Annotated[
        str | None,
        arg(help="labelled images, in any form that 'twofold pretrain' takes (default: CIFAR10 for the scale laptop)"),
    ] = None,
    scale: Annotated[str, arg(help="laptop (in miniature), longer (as each study needs) or paper")] = "laptop",
    seeds: Annotated[
        int | None, arg(help="seeds of every cell that a claim rests on (default: 3; longer: up to 6)")
    ] = None,
    minutes: Annotated[
        float | None, arg(help="minutes that the base recipe trains, turned into epochs by a measurement")
    ] = None,
    out: Annotated[
        Path | None, arg(help="folder of the study, which several processes may share (default: studies/NAME)")
    ] = None,
    encoders: Annotated[
        Path | None,
        arg(help="folder of encoders that studies share (default: studies/encoders; with --out, OUT/runs)"),
    ] = None,
    plan: Annotated[bool, arg(help="only print the plan and the time it would take")] = False,
    cache: Cache = None,
    allow_outside: AllowOutside = False,
) -> None:
    """Rerun a study of the paper: a grid of recipes, a table, a figure, and a verdict on each claim."""
    from twofold.programs.study import list_studies, study

    if name == "list":
        list_studies(scale, seeds)
    else:
        study(
            name,
            data=data,
            scale=scale,
            seeds=seeds,
            minutes=minutes,
            out=out,
            encoders=encoders,
            plan=plan,
            cache=cache,
            allow_outside=allow_outside,
        )


def embed(
    run: Run,
    data: Data,
    /,
    out: Annotated[Path, arg(help="file to write: .parquet, .csv or .npy, with path, label and embedding")],
    shard: Annotated[
        str | None,
        arg(help="part of the images, such as 2/8: eight calls, on any machines, write a file each", metavar="I/N"),
    ] = None,
    float16: Annotated[bool, arg(help="numbers of 16 bits, half the space")] = False,
    common: OmitArgPrefixes[CommonFlags] = COMMON,
    reading: OmitArgPrefixes[ReadingFlags] = ReadingFlags(),  # noqa: B008
) -> None:
    """Write the embeddings of images to a file."""
    from twofold.programs.embed import embed

    embed(
        run,
        data,
        out=out,
        shard=shard,
        float16=float16,
        **common,
        **reading,
    )


def doctor(
    data: Data,
    /,
    recipe: Annotated[str, arg(help="recipe that says at what size images are kept")] = "photos",
    cache: Cache = None,
    allow_outside: AllowOutside = False,
    reading: OmitArgPrefixes[ReadingFlags] = ReadingFlags(),  # noqa: B008
) -> None:
    """Show what is in a folder of images, what is wrong with it and what decoding costs; nothing is trained."""
    from twofold.programs.doctor import doctor

    doctor(data, recipe=recipe, cache=cache, allow_outside=allow_outside, **reading)


def cache(
    cache: Cache = None,
    check: Annotated[
        bool, arg(help="compare decoded images with their checksums; damaged ones are decoded again")
    ] = False,
    prune: Annotated[bool, arg(help="remove images of data not opened lately, and what earlier versions kept")] = False,
    unused_days: Annotated[float, arg(help="days that data were not opened, for --prune")] = 30.0,
) -> None:
    """Show what is kept in the cache; check or prune it."""
    from twofold.programs.cache import list_cache

    list_cache(cache, check_images=check, prune_unused=prune, unused_days=unused_days)


def report(run: Run, /) -> None:
    """Write RUN/report.html again."""
    from twofold.programs.report import write_report

    write_report(run)


def compare(
    runs: Annotated[Positional[tuple[Path, ...]], arg(metavar="RUN...", help="folders of two or more runs")], /
) -> None:
    """Compare runs in pairs on the test images that all were measured on; nothing is measured again."""
    from twofold.programs.compare import compare

    compare(*runs)


def recipes() -> None:
    """List the named recipes with their command, hardware, time and result."""
    from twofold.programs.recipes import list_recipes

    list_recipes()


def sample(folder: Annotated[Positional[Path], arg(help="where to put them")], /) -> None:
    """Write the sample images (14,000 photographs of clothes) as a folder of PNG files."""
    from twofold.programs.sample import sample

    sample(folder)


COMMANDS: dict[str, Callable[..., None]] = {
    "pretrain": pretrain,
    "launch": launch,
    "bench": bench,
    "evaluate": evaluate,
    "transfer": transfer,
    "study": study,
    "embed": embed,
    "predict": predict,
    "distill": distill,
    "explore": explore,
    "export": export,
    "doctor": doctor,
    "clean": clean,
    "pick": pick,
    "search": search,
    "cache": cache,
    "report": report,
    "compare": compare,
    "recipes": recipes,
    "sample": sample,
}


def main() -> None:
    """Run the command line; every expected failure is one line on stderr and a non-zero exit."""
    # Threads that wait spin this often before they sleep. The OpenMP runtime's own 300,000 makes a step several times
    # slower where another process uses a core, 0 a fifth slower where none does. Read when torch is loaded.
    os.environ.setdefault("GOMP_SPINCOUNT", "10000")
    keep_freed_memory()
    arguments = sys.argv[1:]
    if arguments == ["--version"]:
        print(f"twofold {__version__}")
        return
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # what the encoding does not have
    with told(None, COMMANDS):
        stop_with_launcher()
        call = parse(arguments, COMMANDS)
    with told(next((word for word in arguments if word in COMMANDS), None), COMMANDS):
        call()
