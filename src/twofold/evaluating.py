"""The programs that measure: a run on labelled pictures, and on other data sets."""

import os
from collections.abc import Sequence
from typing import NamedTuple

from twofold.data import NO_TEST_SPLIT, ImageSet
from twofold.errors import enough_memory, require
from twofold.evaluation import (
    Evaluation,
    Subject,
    build_evaluation_pictures,
    build_gallery,
    difference_sentence,
    embed_images,
    evaluate_encoder,
    evaluate_target,
    results_table,
    text_curve,
    transfer_settings,
)
from twofold.files import make_folder, write_json
from twofold.kinds import AnyPath, as_data, as_kind, as_optional_path, as_path, as_several
from twofold.recipe import HardwareRecipe
from twofold.report import build_report
from twofold.runtime.beside import Beside, load_beside
from twofold.runtime.console import console, say
from twofold.runtime.images import as_unreadable_limit, open_pictures
from twofold.runtime.load import Loaded, build_untrained, load, load_head
from twofold.runtime.record import Run, writing_alone
from twofold.versions import versions

_SEEN = (
    "pretraining read other pictures or other splits than these: some of the test pictures may have been among its "
    "unlabelled ones"
)
_LESS_MEMORY = (
    "Close other programs, compute with --device cpu, or leave finetune and supervised, which take most, out of "
    "--protocol."
)


def evaluate(
    run: AnyPath,
    *,
    data: AnyPath,
    protocol: str | Sequence[str] = ("knn", "linear"),
    label_fraction: float | Sequence[float] = (),
    shots: int | Sequence[int] = (1, 5, 10, 50),
    seeds: int = 5,
    few_seeds: int = 20,
    finetune_from: str = "h",
    finetune_epochs: int | float | None = None,
    cache: AnyPath | None = None,
    allow_outside: bool = False,
    device: str = "auto",
    precision: str = "auto",
    max_unreadable_fraction: int | float | None = None,
) -> Evaluation:
    """Measure a run on labelled pictures; print the table, write RUN/evaluation.json and the report.

    `protocol` holds knn, linear, layers (the linear probe on the head's layers too), sgd (the paper's linear probe),
    finetune and supervised (from scratch); with all labels, a `label_fraction` of them and `shots` per class; beside
    the same encoder untrained and raw pixels; mean and 95 % interval over seeds. The test split is looked at once.
    The same call after an interruption continues.
    """
    asked = _asked(protocol, seeds, finetune_epochs)
    shots, fractions = as_several("shots", shots, int), as_several("label_fraction", label_fraction, float)
    few_seeds, finetune_from = as_kind("few_seeds", few_seeds, int), as_kind("finetune_from", finetune_from, str)
    data, cache = as_data(data), as_optional_path("cache", cache)
    allow_outside = as_kind("allow_outside", allow_outside, bool)
    hardware = HardwareRecipe(device=device, precision=precision)
    limit = as_unreadable_limit(max_unreadable_fraction)
    record = Run(as_path("run", run))
    begun = record.read_recipe()
    make_folder(record.folder, "RUN")
    loaded = load(record.folder, hardware=hardware)
    own = begun["data"]["fingerprint"]
    images = open_pictures(loaded, data, cache, own=own, allow_outside=allow_outside, limit=limit)
    same = images.fingerprint == own
    seen = [] if same else [_SEEN]
    for sentence in (*images.stated, *seen):
        say(f"  {sentence}")
    needs_head = "layers" in asked.protocols or finetune_from != "h"
    with (
        writing_alone(record.evaluation_lock, f"'{record.folder}' is being evaluated by another process", "RUN"),
        enough_memory("the evaluation", _LESS_MEMORY),
        loaded.hardware.arithmetic(),
    ):
        evaluation = evaluate_encoder(
            loaded.encoder,
            untrained=lambda seed: build_untrained(loaded.recipe, seed, loaded.hardware),
            images=images,
            views=loaded.recipe.views,
            data=loaded.recipe.data,
            hardware=loaded.hardware,
            head=load_head(record.folder, hardware=hardware) if needs_head else None,
            protocols=asked.protocols,
            seeds=asked.seeds,
            few_seeds=few_seeds,
            shots=shots,
            fractions=fractions,
            start=finetune_from,
            epochs=asked.epochs,
            keep=record.evaluation_partial,
            say=say,
        )
        evaluation.details["stated"] += seen
        evaluation.details.update(hardware=loaded.hardware.describe(), versions=versions())
        write_json(record.evaluation_details, evaluation.details)
        write_json(record.evaluation, [row.to_dict() for row in evaluation.rows])
        _pictures(loaded, images, evaluation, record)
        path = build_report(record.folder)
        _forget(evaluation)  # only now is nothing left that needs it
    _show(evaluation)
    say(f"Report: {path}")
    return evaluation


def transfer(
    run: AnyPath,
    *,
    to: AnyPath | Sequence[AnyPath],
    protocol: str | Sequence[str] = ("linear", "finetune"),
    seeds: int = 3,
    beside: AnyPath | Sequence[AnyPath] = (),
    beside_px: int | None = None,
    finetune_epochs: int | float | None = None,
    cache: AnyPath | None = None,
    allow_outside: bool = False,
    device: str = "auto",
    precision: str = "auto",
    max_unreadable_fraction: int | float | None = None,
) -> dict[str, Evaluation]:
    """Measure a run on other data sets; print tables, write RUN/transfer.json and the report.

    For each of `to`: the linear probe (L2 among the paper's 45 values) and fine-tuning with all labels, beside the
    untrained encoder, raw pixels, training from scratch, and the encoders `beside`: other runs, exported encoders, or
    `torchvision:NAME=FILE` and `timm:NAME=FILE` at `beside_px`. Data without a test split get one by the run's data
    seed. The same call after an interruption continues.
    """
    asked = _asked(protocol, seeds, finetune_epochs)
    settings = transfer_settings(asked.protocols, asked.seeds, asked.epochs)
    beside_px, cache = as_kind("beside_px", beside_px, int | None), as_optional_path("cache", cache)
    allow_outside = as_kind("allow_outside", allow_outside, bool)
    names, encoders = _places("to", to), _places("beside", beside)
    hardware = HardwareRecipe(device=device, precision=precision)
    limit = as_unreadable_limit(max_unreadable_fraction)
    record = Run(as_path("run", run))
    record.read_recipe()
    make_folder(record.folder, "RUN")
    require(len(names) > 0 and len(set(names)) == len(names), "to", names, "one or more data sets, each once")
    loaded = load(record.folder, hardware=hardware)
    others = [load_beside(one, loaded, size_px=beside_px) for one in encoders]
    _require_names([other.name for other in others])
    found: dict[str, Evaluation] = {}
    targets = {  # all, before hours on one
        name: open_pictures(loaded, name, cache, beside=others, allow_outside=allow_outside, limit=limit)
        for name in names
    }
    with (
        writing_alone(record.transfer_lock, f"'{record.folder}' is being transferred by another process", "RUN"),
        enough_memory("the transfer", _LESS_MEMORY),
        loaded.hardware.arithmetic(),
    ):
        for name, images in targets.items():
            say(f"\n{name}: {len(images):,} pictures")
            for sentence in images.stated:
                say(f"  {sentence}")
            found[name] = evaluate_target(
                _subject(loaded),
                [_other(other, loaded) for other in others],
                images,
                settings,
                data=loaded.recipe.data,
                keep=record.transfer_partial,
                say=say,
            )
        _write_transfer(record, found)
        path = build_report(record.folder)
        _forget(*found.values())
    for name, evaluation in found.items():
        say(f"\n{name}")
        _show(evaluation)
    say(f"Report: {path}")
    return found


class _Asked(NamedTuple):
    protocols: tuple[str, ...]
    seeds: int
    epochs: float | None


def _asked(protocol: object, seeds: object, epochs: object) -> _Asked:
    """What both programs are asked for, in plain values."""
    return _Asked(
        as_several("protocol", protocol, str),
        as_kind("seeds", seeds, int),
        as_kind("finetune_epochs", epochs, float | None),
    )


def _places(name: str, values: object) -> list[str]:
    return [as_data(one, name) for one in as_several(name, values, os.PathLike)]


def _forget(*evaluations: Evaluation) -> None:
    for evaluation in evaluations:
        for ledger in evaluation.ledgers:
            ledger.forget()


def _show(evaluation: Evaluation) -> None:
    """The table, how the test split came about, the curve, and the differences in words."""
    details = evaluation.details
    split = next((line for line in details["stated"] if line.startswith(NO_TEST_SPLIT)), "the data's own test split")
    console.print(results_table(evaluation.rows, test=details["test"], note=split))
    for line in text_curve(evaluation.rows, details["labels_per_class"]):
        say(line)
    for found in evaluation.differences:
        say(f"  {difference_sentence(found)}")


def _subject(loaded: Loaded) -> Subject:
    return Subject(
        encoder=loaded.encoder,
        untrained=lambda seed: build_untrained(loaded.recipe, seed, loaded.hardware),
        views=loaded.recipe.views,
        hardware=loaded.hardware,
    )


def _other(other: Beside, loaded: Loaded) -> Subject:
    return Subject(name=other.name, encoder=other.encoder, untrained=None, views=other.views, hardware=loaded.hardware)


def _require_names(names: Sequence[str]) -> None:
    taken = [*names, "trained", "untrained", "pixels"]
    for name in names:
        require(taken.count(name) == 1, "beside", name, "a name that no other encoder of the table has")


def _write_transfer(record: Run, found: dict[str, Evaluation]) -> None:
    details = [{**evaluation.details, "data": name} for name, evaluation in found.items()]
    targets = [
        {
            "data": one["data"],
            "train": one["train"],
            "test": one["test"],
            "classes": len(one["classes"]),
            "split": "by seed" if any(line.startswith(NO_TEST_SPLIT) for line in one["stated"]) else "own",
            "test_also_in_train": one["test_also_in_train"],
            "chosen_l2": one["chosen_l2"],
            "chosen_base_lr": one["chosen_base_lr"],
            "stated": one["stated"],
        }
        for one in details
    ]
    differences = [{"data": one["data"], **difference} for one in details for difference in one["differences"]]
    shared = [line for line in details[0]["stated"] if all(line in one["stated"] for one in details)]
    about = {"seconds": round(sum(one["seconds"] for one in details), 3), "versions": versions()}
    write_json(record.transfer_details, {"targets": targets, "differences": differences, "stated": shared, **about})
    rows = [{"data": name, **row.to_dict()} for name, evaluation in found.items() for row in evaluation.rows]
    write_json(record.transfer, rows)


def _pictures(loaded: Loaded, images: ImageSet, evaluation: Evaluation, record: Run) -> None:
    """The report's pictures: neighbours and map, confident mistakes, neighbours across classes."""
    views, answers = loaded.recipe.views, evaluation.answers
    build_gallery(loaded.encoder, images, views=views, hardware=loaded.hardware, out=record.gallery)
    build_evaluation_pictures(
        images,
        answers.rows,
        answers.truth,
        answers.attempt.predicted,
        answers.attempt.confidence,
        embed_images(loaded.encoder, images, answers.rows, views=views, hardware=loaded.hardware),
        evaluation.details["classes"],
        out=record.evaluation_pictures,
    )
