"""A run measured on other data sets."""

import json
from collections.abc import Container, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Unpack

from twofold.console import obeys_verbose, say
from twofold.data import AnyData, Source, as_given, is_object
from twofold.data.sources.addresses import shown_address
from twofold.errors import enough_memory, require
from twofold.evaluation import (
    Evaluation,
    evaluate_encoder,
    transfer_settings,
)
from twofold.files import make_folder, write_json
from twofold.programs.images import open_images
from twofold.programs.measurement import (
    LESS_MEMORY,
    add_caveats,
    as_asked,
    as_places,
    as_subject,
    forget,
    keep_predictions,
    load_others,
    run_subject,
    say_chance,
    seen_in_pretraining,
    show,
)
from twofold.programs.objects import notes_on
from twofold.programs.opening import Opening, as_opener
from twofold.recipes.kinds import AnyPath, as_kind, as_path, as_several
from twofold.report import build_report
from twofold.runs.encoder_file import load
from twofold.runs.evaluation_folder import keep_transfer
from twofold.runs.run_directory import Run, writing_alone
from twofold.versions import versions

_SPLITS = {"own": "own", "validation": "validation", "cut": "by seed", "folds": "cross-validation"}


@obeys_verbose
def transfer(
    run: AnyPath,
    *,
    to: AnyData | Sequence[AnyData],
    protocol: str | Sequence[str] = ("linear", "finetune"),
    seeds: int = 3,
    beside: AnyPath | Sequence[AnyPath] = (),
    beside_px: int | None = None,
    finetune_schedule: str = "tuned",
    finetune_epochs: int | float | None = None,
    verbose: bool = True,
    **opening: Unpack[Opening],
) -> dict[str, Evaluation]:
    """Measure a run on other data sets; print tables, write RUN/transfer.json and the report.

    For each of `to`: the linear probe (L2 among the paper's 45 values) and fine-tuning with all labels, next to
    the untrained encoder, raw pixels, training from scratch, and the encoders `beside`: other runs, exported encoders,
    or `torchvision:NAME=FILE` and `timm:NAME=FILE` at `beside_px`. Data without a test split get one by the run's data
    seed. The same call after an interruption continues. `encoder` is as in `evaluate`. Each data set's figures and
    predictions are kept in RUN/transfers/DATA-KEY too; transfer.json and the report have the newest of every data set.
    """
    asked = as_asked(protocol, seeds, finetune_schedule, finetune_epochs)
    settings = transfer_settings(asked.protocols, asked.seeds, asked.epochs, asked.schedule)
    verbose, how = as_kind("verbose", verbose, bool), as_opener(opening)
    places, beside_px = as_places("beside", beside), as_kind("beside_px", beside_px, int | None)
    record = Run(as_path("run", run))
    sources = _sources(to, how.cache, how.allow_outside)
    own = record.read_recipe()["data"]["fingerprint"]
    make_folder(record.folder, "RUN")
    loaded = load(record.folder, hardware=how.hardware, encoder=how.encoder)
    others = load_others(places, loaded, size_px=beside_px)
    for sentence in notes_on(how.encoder):
        say(f"  {sentence}")
    found: dict[str, Evaluation] = {}
    targets = {  # all, before hours on one
        name: open_images(loaded, source, how, beside=others) for name, source in sources.items()
    }
    with (
        writing_alone(record.transfer_lock, f"'{record.folder}' is being transferred by another process", "RUN"),
        enough_memory("the transfer", LESS_MEMORY),
        loaded.hardware.arithmetic(),
    ):
        for name, images in targets.items():
            say(f"\n{name}: {len(images):,} images")
            seen = seen_in_pretraining(images, own)
            for sentence in seen:
                say(f"  {sentence}")
            found[name] = evaluate_encoder(
                run_subject(loaded),
                images,
                settings,
                data=loaded.recipe.data,
                others=[as_subject(other, loaded) for other in others],
                keep=record.transfer_partial,
                say=say,
            )
            add_caveats(found[name], images, loaded, seen)
        _keep_older(record)
        for name, evaluation in found.items():
            rows = [row.to_dict() for row in evaluation.rows]
            keep_predictions(keep_transfer(record, name, rows, evaluation.details), targets[name], evaluation)
        _write_transfer(record, found)
        path = build_report(record.folder)
        forget(*found.values())
    for name, evaluation in found.items():
        say(f"\n{name}")
        show(evaluation)
    say_chance(*found.values())
    say(f"Report: {path}")
    return found


def _sources(to: object, cache: Path | None, allow_outside: bool) -> dict[str, str | Source]:
    """The data sets by their names. Raises TwofoldError where there is none, or two of one name."""
    several = (to,) if is_object(to) else as_several("to", to, object)
    given = [as_given(one, "to", cache=cache, allow_outside=allow_outside) for one in several]
    names = [shown_address(one) if isinstance(one, str) else one.name for one in given]
    require(
        len(names) > 0 and len(set(names)) == len(names), "to", names, "one or more data sets, each of its own name"
    )
    return dict(zip(names, given, strict=True))


def _keep_older(record: Run) -> None:
    """The figures that an older version wrote to transfer.json alone, in folders of their own."""
    older = _earlier(record, ())
    for target in older.targets:
        own = [row for row in older.rows if row["data"] == target["data"]]
        plain = [{name: value for name, value in row.items() if name != "data"} for row in own]
        keep_transfer(record, str(target["data"]), plain, target)


def _write_transfer(record: Run, found: dict[str, Evaluation]) -> None:
    """The figures on these data sets, and what earlier calls found on others."""
    details = [{**evaluation.details, "data": name} for name, evaluation in found.items()]
    targets = [
        {
            "data": one["data"],
            "train": one["train"],
            "test": one["test"],
            "classes": len(one["classes"]),
            "split": _SPLITS[test_from],
            "test_also_in_train": one["test_also_in_train"],
            "caveats": one["caveats"],
            "chosen_l2": one["chosen_l2"],
            "chosen_base_lr": one["chosen_base_lr"],
            "chosen_training": one["chosen_training"],
            "stated": one["stated"],
            "seconds": one["seconds"],
            "versions": versions(),
        }
        for one, test_from in zip(details, (evaluation.test_from for evaluation in found.values()), strict=True)
    ]
    differences = [{"data": one["data"], **difference} for one in details for difference in one["differences"]]
    rows = [{"data": name, **row.to_dict()} for name, evaluation in found.items() for row in evaluation.rows]
    earlier = _earlier(record, found)
    targets += earlier.targets
    seconds = earlier.seconds + sum(one.get("seconds", 0.0) for one in targets)
    about = {"stated": _stated(targets), "seconds": round(seconds, 3), "versions": versions()}
    differences += earlier.differences
    write_json(record.transfer_details, {"targets": targets, "differences": differences, **about})
    write_json(record.transfer, [*rows, *earlier.rows])


def _stated(targets: Sequence[dict[str, Any]]) -> list[str]:
    """What holds of all data sets, then what holds of one, with its name."""
    first, *others = (one.get("stated") or [] for one in targets)
    shared = [line for line in first if all(line in lines for lines in others)]
    own = [f"{one['data']}: {line}" for one in targets for line in one.get("stated") or [] if line not in shared]
    return [*shared, *own]


class _Earlier(NamedTuple):
    """What transfer.json and transfer_details.json hold of other data sets; seconds, if not of each by itself."""

    rows: list[dict[str, Any]]
    targets: list[dict[str, Any]]
    differences: list[dict[str, Any]]
    seconds: float


def _earlier(record: Run, names: Container[str]) -> _Earlier:
    """Nothing where there are no such files, or where they cannot be read."""
    try:
        rows = json.loads(record.transfer.read_text(encoding="utf-8"))
        details = json.loads(record.transfer_details.read_text(encoding="utf-8"))
        parts = (rows, details["targets"], details["differences"])
        rows, targets, differences = ([one for one in part if one["data"] not in names] for part in parts)
        whole = any("seconds" not in one for one in targets)  # of an older version, which timed all together
        return _Earlier(rows, targets, differences, float(details["seconds"]) if whole else 0.0)
    except (OSError, ValueError, KeyError, TypeError):
        return _Earlier([], [], [], 0.0)
