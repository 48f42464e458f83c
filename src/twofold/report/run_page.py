"""build_report: read the run, make figures and images, fill the template, write one file."""

import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import quote

from markupsafe import Markup

from twofold import __version__
from twofold.evaluation.intervals import chance_sentences
from twofold.evaluation.protocols import METRICS, classifier_name
from twofold.evaluation.sentences import difference_sentence, is_about_head
from twofold.files import write_atomically
from twofold.recipes.loss import contrast_chance
from twofold.recipes.recipe import LossRecipe
from twofold.report import charts, confusion, headline, table
from twofold.report.content import Gallery, RunContent
from twofold.report.curve import label_curve
from twofold.report.embedding_map import embedding_map
from twofold.report.figure import Figure
from twofold.report.pictures import build_sprite, data_uri, picture_uri, sheet_uri
from twofold.report.read import read_run
from twofold.report.settings import grouped_settings
from twofold.report.svg import draw, draw_swatch
from twofold.report.template import load_template
from twofold.report.transfer import target_facts, transfer_dots
from twofold.report.wording import data_name, in_words, loss_name, loss_unit, percent

QUARANTINE_SHOWN = 50
OLD_INTERVALS = (
    " These intervals were measured by an older version: they cover draws alone, not other test images. Evaluate again "
    "for intervals that cover both."
)
MEASURES = (  # name of the chart, title, keys and their names, factor, what it says
    (
        "rank",
        "Effective rank",
        {"h_effective_rank": "of h", "z_effective_rank": "of z"},
        1.0,
        "How many directions the embeddings use. Higher is richer; 1 is a collapse to a single direction.",
    ),
    (
        "pairs",
        "Positive pairs found, %",
        {"pair_accuracy": "z"},
        100.0,
        f"How often an image's other view is the nearest of all, among up to {headline.WATCHED} images that stay "
        "the same throughout. The first point is the untrained encoder.",
    ),
    (
        "held-out",
        "Loss on held-out images",
        {"held_out_loss": "held out", "seen_loss": "trained on"},
        1.0,
        "Both with the same number of negatives, fewer than in training. Far apart: the encoder learns its images by "
        "heart.",
    ),
    ("std", "Spread of z", {"z_std": "z"}, 1.0, "1 is evenly spread over the sphere, 0 is a single point."),
    (
        "knn",
        "Neighbours agree, %",
        {"knn_top1": "knn"},
        100.0,
        "Nearest-neighbour accuracy while training; nothing is chosen by it.",
    ),
    (
        "alignment",
        "Alignment",
        {"alignment": "z"},
        1.0,
        "Mean squared distance of positive pairs. Lower is closer; 0 to 4.",
    ),
    (
        "uniformity",
        "Uniformity",
        {"uniformity": "z"},
        1.0,
        "Log of the mean potential between images. Lower is more even; \u22124 at best.",
    ),
)


@dataclass(frozen=True, kw_only=True)
class Picture:
    """An image of the neighbours section; `match` is "same", "different" or "unknown" against the query's label."""

    uri: str
    path: str
    label: str
    match: str


def build_report(run: Path) -> Path:
    """Write RUN/report.html from what lies in RUN, whole or not at all; returns its path.

    One file that opens without a network. Sections whose files are missing are left out.
    Raises TwofoldError where RUN is no run or one of its files is damaged.
    """
    content = read_run(run)
    page = _template().render(_context(content))
    path = run / "report.html"
    write_atomically(path, page.encode())
    return path


@cache
def _template() -> Any:
    return load_template(
        "report.html.j2",
        "twofold.report",
        percent=percent,
        in_words=in_words,
        picture_uri=picture_uri,
        drawn=draw,
        swatch=draw_swatch,
        csv_uri=csv_uri,
        headings=headings,
    )


def csv_uri(figure: Figure) -> str:
    """The table behind a figure as a file to keep."""
    return data_uri(figure.table.csv, "text/csv;charset=utf-8")


def headings(page: str) -> list[tuple[str, Markup]]:
    """(id, heading) of each section of a page, in order."""
    return [(name, Markup(text)) for name, text in re.findall(r'<section id="([\w-]+)">\s*<h2>(.*?)</h2>', page)]


def _context(run: RunContent) -> dict[str, Any]:
    figures = _figures(run)
    return {
        "run": run,
        "title": headline.title(run),
        "lead": headline.lead(run),
        "verdict": headline.verdict(run),
        "warning": headline.warning(run),
        "key_figures": headline.key_figures(run),
        "training_figures": headline.training_figures(run),
        **_measured(run),
        **_kept(run),
        "top1": METRICS["top1"],
        "figures": figures,
        "measures": [(name, heading, meaning) for name, heading, _, _, meaning in MEASURES if name in figures],
        "loss_name": loss_name(run.record["recipe"]["loss"]),
        "batch_size": run.record["recipe"]["schedule"]["batch_size"],
        "views_uri": sheet_uri(run.views) if run.views else None,
        "confused": confusion.most_confused(run.details) if run.details else [],
        "classes_shown": charts.MOST_CLASSES,
        "classifier": classifier_name(*(run.details.main if run.details else ("linear", "all"))),
        "searched": searched_words(run.gallery) if run.gallery else "",
        "mapped": mapped_words(run.gallery) if run.gallery else "",
        "neighbours": _neighbours(run.gallery) if run.gallery and run.gallery.neighbours.size else [],
        "sprite": build_sprite(run.gallery.thumbs[: len(run.gallery.xy)])
        if run.gallery and len(run.gallery.xy)
        else None,
        "uses": [(use, quote(use.page)) for use in run.uses],
        "settings": grouped_settings(run.record["recipe"]),
        "facts": headline.shown_facts(run),
        "quarantine_shown": QUARANTINE_SHOWN,
        "version": __version__,
    }


def _kept(run: RunContent) -> dict[str, Any]:
    """Of every other data set the newest evaluation as a table; the names of all that are older."""
    shown = {run.details.data if run.details else ""}
    others, older = [], []
    for one in run.kept:
        if one.details.data in shown:
            older.append((one.name, headline.main_figure(one.measurements)))
        else:
            others.append((data_name(one.details.data), table.build_table(one.measurements, one.details)))
        shown.add(one.details.data)
    return {"other_evaluations": others, "older_evaluations": older}


def _measured(run: RunContent) -> dict[str, Any]:
    """The tables and sentences on what was measured."""
    differences = run.details.differences if run.details else []
    return {
        "measurements": table.build_table(run.measurements, run.details),
        "aside": table.build_aside(run.measurements, run.details),
        "layers": table.build_layers(run.measurements),
        "old_note": OLD_INTERVALS if table.is_old([*run.measurements, *run.transfer.measurements]) else "",
        "on_head": [difference_sentence(one) for one in differences if is_about_head(one)],
        "differences": [
            *(difference_sentence(one) for one in differences if not is_about_head(one)),
            *chance_sentences(len(differences)),
        ],
        "transfer": table.build_transfer_table(run.transfer.measurements),
        "targets": target_facts(run.transfer),
        "transfer_caveats": [(data_name(one.data), caveat) for one in run.transfer.targets for caveat in one.caveats],
        "transfer_differences": [
            *(difference_sentence(one, data_name(one.data)) for one in run.transfer.differences),
            *chance_sentences(len(run.transfer.differences)),
        ],
    }


def _figures(run: RunContent) -> dict[str, Figure]:
    batch_size, loss = run.record["recipe"]["schedule"]["batch_size"], run.record["recipe"]["loss"]
    figures = {
        "few-labels": label_curve(run.measurements, run.details),
        "transfer": transfer_dots(run.transfer.measurements),
        "loss": charts.training_curve(
            run.training, "loss", factor=1, unit=loss_unit(loss), chance=LossRecipe(**loss).chance(batch_size)
        ),
        "positives": charts.training_curve(
            run.training, "contrast_accuracy", factor=100, unit="%", chance=100 * contrast_chance(batch_size)
        ),
        "map": embedding_map(run.gallery) if run.gallery and len(run.gallery.xy) else None,
        "confusion": confusion.confusion_matrix(run.details) if run.details else None,
        "classes": charts.class_bars(run.details.per_class) if run.details else None,
    }
    for name, _, keys, factor, _ in MEASURES:
        figures[name] = charts.health_curve(run.health, keys, factor=factor)
    return {name: figure for name, figure in figures.items() if figure}


def searched_words(gallery: Gallery) -> str:
    """Among which images neighbours were looked for, such as "of all 14,000 images"."""
    if not gallery.searched:
        return f"of the {len(gallery.xy):,} images on the map"
    if gallery.searched == gallery.images:
        return f"of all {gallery.images:,} images"
    return f"of {gallery.searched:,} images, drawn by chance from {gallery.images:,}"


def mapped_words(gallery: Gallery) -> str:
    """Which images lie on the map, such as "1,500 images of the test split, drawn by chance from its 2,000"."""
    of = "of the test split" if gallery.split == "test" else "of the data set"
    if not gallery.split_images:
        return f"{len(gallery.xy):,} images {of}"
    if len(gallery.xy) == gallery.split_images:
        return f"the {gallery.split_images:,} images {of}"
    return f"{len(gallery.xy):,} images {of}, drawn by chance from its {gallery.split_images:,}"


def _neighbours(gallery: Gallery) -> list[list[Picture]]:
    """A line a query: the query itself, then its neighbours, nearest first."""
    return [
        [_picture(gallery, int(row), int(query)) for row in (query, *nearest)]
        for query, nearest in zip(gallery.queries, gallery.neighbours, strict=True)
    ]


def _picture(gallery: Gallery, row: int, query: int) -> Picture:
    label, wanted = gallery.labels[row], gallery.labels[query]
    match = "unknown" if not (label and wanted) else "same" if label == wanted else "different"
    return Picture(uri=picture_uri(gallery.thumbs[row]), path=gallery.paths[row], label=label, match=match)
