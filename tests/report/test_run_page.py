"""The page as a whole: complete, self-contained, safe, and with sections only for what the run holds."""

import base64
import csv
import io
import json
import re
import unicodedata
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jinja2
import numpy as np
import pytest

from report.conftest import HOSTILE, ROWS, row, write_gallery, write_record
from report.page import Page
from twofold.console import visible
from twofold.curation import write_answer
from twofold.errors import TwofoldError
from twofold.report import build_report, run_page, svg, template
from twofold.report.read import read_run
from twofold.report.wording import data_name

ALL = {
    "measurements",
    "few-labels",
    "training",
    "health",
    "views",
    "neighbours",
    "map",
    "confusion",
    "settings",
    "quarantine",
}
LATER = {"transfer", "classes", "mistakes", "look-alikes"}
LOADING = {"src", "href", "srcset", "poster", "action", "formaction", "background", "xlink:href"}
SPELT = visible(HOSTILE)


def loads(page: Page) -> list[str]:
    """Everything the page would fetch."""
    found = [
        value for _, attributes in page.elements for name, value in attributes.items() if name in LOADING and value
    ]
    return found + re.findall(r"url\(([^)]*)\)|@import\s+(\S+)", " ".join(page.styles))


def charts(page: Page) -> set[str | None]:
    return {found["data-chart"] for _, found in page.elements if "data-chart" in found}


def test_the_page_is_whole_and_fetches_nothing(run: Path) -> None:
    path = build_report(run)
    assert path == run / "report.html"
    page = Page(path)
    assert page.well_formed
    assert page.sections == ALL
    assert loads(page)
    assert all(address.startswith(("data:", "#")) for address in loads(page))
    policy = next(found["content"] for tag, found in page.elements if "http-equiv" in found and tag == "meta")
    assert policy is not None
    assert "default-src 'none'" in policy


def test_a_report_is_small(rich: Path) -> None:
    """Of everything but the run's own images: 400 KB, where 1.5 MB is the most that a demo may take."""
    assert build_report(rich).stat().st_size < 400_000


def test_the_navigation_leads_to_every_section_in_order(rich: Path) -> None:
    page = Page(build_report(rich))
    links = [str(found["href"]) for tag, found in page.elements if tag == "a" and not found.get("download")]
    assert links == [f"#{found['id']}" for tag, found in page.elements if tag == "section"]
    assert [found["aria-label"] for tag, found in page.elements if tag == "nav"] == ["Sections of this report"]


def test_every_figure_has_a_text_a_table_and_a_csv_file(rich: Path) -> None:
    page, figures = Page(build_report(rich)), run_page._figures(read_run(rich))
    drawn = [found["aria-label"] for tag, found in page.elements if tag == "svg" and found.get("role") == "img"]
    assert len(drawn) == len(set(drawn)) == len(figures)
    files = {found["download"]: str(found["href"]) for tag, found in page.elements if found.get("download")}
    assert set(files) == {f"{name}.csv" for name in figures}
    for name, figure in figures.items():
        kind, content = files[f"{name}.csv"].split(";base64,")
        assert kind == "data:text/csv;charset=utf-8"
        lines = list(csv.reader(io.StringIO(base64.b64decode(content).decode())))
        assert lines == [
            ["" if value is None else str(value) for value in line]
            for line in (figure.table.columns, *figure.table.rows)
        ]
        assert len(lines) > 1


def test_accuracies_stand_apart_from_times(rich: Path) -> None:
    """The header holds accuracies only; how training went stands in its section."""
    content = read_run(rich)
    context = run_page._context(content)
    assert {figure.unit for figure in context["key_figures"]} == {"%"}
    assert [figure.unit for figure in context["training_figures"]] == ["%", "min", "nats", ""]
    (rich / "evaluation.json").unlink()
    context = run_page._context(read_run(rich))
    assert context["key_figures"] == context["training_figures"]
    assert len(Page(build_report(rich)).having("dl", "key-figures")) == 1


def test_names_of_strangers_stay_text(run: Path) -> None:
    page = Page(build_report(run))
    assert len(page.scripts) == 2  # gallery, ours
    assert not any("alert" in text for attributes, text in page.scripts if attributes.get("type") is None)
    assert not [tag for tag, _ in page.elements if tag == "b"]
    for place in (f"{SPELT}-0.png", f"truncated {SPELT}", f"test cut from {SPELT}", f"once {SPELT}"):
        assert place in page.text
    gallery = page.island("gallery")
    assert set(gallery["labels"]) == {"heron", "stork", SPELT}
    assert gallery["paths"][3] == f"test/{SPELT}/3.png"


def test_without_escaping_the_test_above_would_fail(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Careless(jinja2.Environment):
        def __init__(self, **options: object) -> None:
            super().__init__(**(options | {"autoescape": False}))  # type: ignore[arg-type]

    monkeypatch.setattr(template, "Environment", Careless)
    run_page._template.cache_clear()
    page = Page(build_report(run))
    run_page._template.cache_clear()
    assert [tag for tag, _ in page.elements if tag == "b"]


def harmful(page: Page) -> int:
    """How many control characters a reader of the page meets: in texts, in attributes, in what the scripts are given.

    Among them is what turns the direction of writing around, so that a name's ending seems to be another.
    """
    attributes = [value or "" for _, found in page.elements for value in found.values()]
    told = [*page.texts, *attributes, *strings(page.island("gallery"))]
    return sum(unicodedata.category(one) in ("Cc", "Cf") for text in told for one in text)


def strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, list | dict):
        for one in value.values() if isinstance(value, dict) else value:
            yield from strings(one)


def test_control_characters_in_names_are_spelt_out(rich: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert SPELT.startswith(r"\x1b[2J\u202e<")
    assert harmful(Page(build_report(rich))) == 0
    for module in (template, svg):
        monkeypatch.setattr(module, "visible", lambda text, **_: text)
    run_page._template.cache_clear()
    assert harmful(Page(build_report(rich))) > 100  # the count can be something else
    run_page._template.cache_clear()


@pytest.mark.parametrize(
    ("missing", "gone"),
    [
        ({"evaluation.json"}, {"measurements", "few-labels"}),
        ({"evaluation_details.json"}, {"confusion"}),
        ({"metrics.jsonl"}, {"training", "health"}),
        ({"views.png"}, {"views"}),
        ({"gallery.npz"}, {"neighbours", "map"}),
        ({"quarantine.jsonl"}, {"quarantine"}),
        (
            {"evaluation.json", "evaluation_details.json", "gallery.npz", "views.png", "quarantine.jsonl"},
            ALL - {"training", "health", "settings"},
        ),
        (
            {
                "evaluation.json",
                "evaluation_details.json",
                "gallery.npz",
                "views.png",
                "quarantine.jsonl",
                "metrics.jsonl",
            },
            ALL - {"settings"},
        ),
    ],
)
def test_sections_follow_the_files(run: Path, missing: set[str], gone: set[str]) -> None:
    for name in missing:
        (run / name).unlink()
    page = Page(build_report(run))
    assert page.well_formed
    assert page.sections == ALL - gone
    assert charts(page) == set(run_page._figures(read_run(run)))  # each chart has its figure and the other way round


@pytest.mark.parametrize(
    ("missing", "gone"),
    [
        (set(), set()),
        ({"transfer.json"}, {"transfer"}),
        ({"transfer_details.json"}, set()),
        ({"evaluation_pictures.npz"}, {"mistakes", "look-alikes"}),
        ({"evaluation_details.json"}, {"confusion", "classes"}),
    ],
)
def test_later_sections_follow_their_files_too(rich: Path, missing: set[str], gone: set[str]) -> None:
    for name in missing:
        (rich / name).unlink()
    page = Page(build_report(rich))
    assert page.well_formed
    assert page.sections == (ALL | LATER) - gone
    assert charts(page) == set(run_page._figures(read_run(rich)))


def test_what_came_later_is_escaped_and_fetches_nothing(rich: Path) -> None:
    page = Page(build_report(rich))
    assert len(page.scripts) == 2
    assert not [tag for tag, _ in page.elements if tag == "b"]
    assert all(address.startswith(("data:", "#")) for address in loads(page))
    hostile = data_name(SPELT)  # a target is called by the last part of its path
    for place in (f"taken for {SPELT}", f"measured on {SPELT}", f"{hostile}: 900 images"):
        assert place in page.text
    titles = {found.get("title") for tag, found in page.elements if tag == "img"}
    assert {f"test/{SPELT}/m0.png", f"test/{SPELT}/b2.png"} <= titles


def test_mistakes_and_pairs_are_shown_with_their_words(rich: Path) -> None:
    page = Page(build_report(rich))
    assert len(page.having("figure", "mistake")) == 4
    assert len(page.having("figure", "look-alike")) == 3
    assert {"99.9 % sure", "50.0 % sure", "cosine 0.988", "cosine 0.800"} <= set(page.texts)


def test_comparisons_and_leaks_are_said_in_words(rich: Path) -> None:
    page = Page(build_report(rich))
    assert (
        "Fine-tuning beats supervised from scratch at 1 % of the labels by 20.0 points "
        "(19.0 to 21.0, over 5 seeds alone)." in page.text
    )
    assert (
        "h beats z under the linear probe with all labels by 20.0 points (19.0 to 21.0, over 5 seeds alone)."
        in page.text
    )
    assert "3 of the 30 test images are in the training split too." in page.text
    assert "layer 1 of the head" in page.texts


def test_the_table_holds_the_rows(run: Path) -> None:
    page = Page(build_report(run))
    for _, _, _, mean, low, high in ROWS:
        assert f"{100 * mean:.1f}" in page.texts
        assert f"{100 * low:.1f} \u2013 {100 * high:.1f}" in page.texts
    assert page.having("td", "best") == []  # an older version did not say which
    assert "These intervals were measured by an older version: they cover draws alone" in page.text
    assert len(page.having("td", "missing")) == 2 * 4 - 2 - 1


def test_neighbours_are_framed_by_label(run: Path) -> None:
    page = Page(build_report(run))
    thumbs = page.having("figure", "thumb")
    assert len(thumbs) == 12 * 9
    assert len(page.having("figure", "query")) == 12
    same = sum((query + step) % 20 % 3 == query % 3 for query in range(12) for step in range(1, 9))
    assert len(page.having("figure", "same")) == same
    assert len(page.having("figure", "different")) == 12 * 8 - same


@pytest.mark.parametrize(
    ("count", "words"),
    [
        (8, "the eight whose embeddings are most like its own, of all 30 images, nearest first. The line below"),
        (3, "the three whose embeddings are most like its own, of all 30 images, nearest first. The line below"),
        (1, "the one whose embedding is most like its own, of all 30 images. The line below"),
    ],
)
def test_as_many_neighbours_are_announced_as_there_are(run: Path, count: int, words: str) -> None:
    write_gallery(run, neighbours=count)
    page = Page(build_report(run))
    assert words in page.text
    assert len(page.having("figure", "thumb")) == 12 * (1 + count)


def change_gallery(run: Path, **changes: int | None) -> str:
    with np.load(run / "gallery.npz") as arrays:
        kept = {**arrays, **{name: np.array(value) for name, value in changes.items() if value is not None}}
    np.savez(run / "gallery.npz", **{name: kept[name] for name in kept if changes.get(name, 0) is not None})
    return Page(build_report(run)).text


def test_the_page_says_which_images_lie_on_the_map_and_were_searched(run: Path) -> None:
    assert "one of 20 images of the test split, drawn by chance from its 25;" in Page(build_report(run)).text
    text = change_gallery(run, searched=50_000, images=1_281_167, split_images=20)
    assert "most like its own, of 50,000 images, drawn by chance from 1,281,167, nearest first." in text
    assert "one of the 20 images of the test split;" in text


def test_a_gallery_of_an_earlier_version_speaks_of_its_own_images(run: Path) -> None:
    text = change_gallery(run, searched=None, images=None, split_images=None)
    assert "of the 20 images on the map" in text
    assert "drawn by chance" not in text


def test_the_map_holds_no_neighbour_that_lies_outside_of_its_sample(run: Path) -> None:
    with np.load(run / "gallery.npz") as arrays:
        kept = dict(arrays)
    kept["xy"] = kept["xy"][:15]
    np.savez(run / "gallery.npz", **kept)
    page = Page(build_report(run))
    assert len(page.island("gallery")["paths"]) == 15
    assert len(page.having("figure", "thumb")) == 12 * 9


def test_a_single_picture_has_no_neighbours(run: Path) -> None:
    write_gallery(run, neighbours=0)
    assert Page(build_report(run)).sections == ALL - {"neighbours"}


def test_candidates_are_counted_as_the_measure_counts_them(run: Path) -> None:
    page = Page(build_report(run))  # batches of 8
    assert "Positive pairs found among 8 candidates" in page.texts
    assert "other from the 14 other views of a batch" in page.text
    assert "15" not in re.findall(r"\d+", " ".join(text for text in page.texts if "candidates" in text))


def test_unlabelled_pictures_have_no_frames(run: Path) -> None:
    write_gallery(run, labelled=False)
    page = Page(build_report(run))
    assert len(page.having("figure", "unknown")) == 12 * 8
    assert not page.having("figure", "same")
    assert len(run_page._figures(read_run(run))["map"].series) == 1


def test_fifty_of_the_quarantined_files_are_listed(run: Path) -> None:
    page = Page(build_report(run))
    assert "60 files could not be read" in page.text
    assert f"{SPELT}-49.png" in page.texts
    assert f"{SPELT}-50.png" not in page.texts


def test_every_setting_is_listed_with_its_meaning(run: Path) -> None:
    page = Page(build_report(run))
    assert {"temperature", "batch_size", "crop_area", "0.08, 1"} <= set(page.texts)
    assert any("temperature of all losses" in (found.get("title") or "") for _, found in page.elements)


def test_a_record_with_the_least_is_enough(run: Path) -> None:
    write_record(
        run, derived={}, data={"name": "x", "images": 1, "fingerprint": ""}, hardware={}, versions={}, started=""
    )
    page = Page(build_report(run))
    assert "trained on 1 image of x without labels" in page.text


def test_a_failure_keeps_the_old_report(run: Path) -> None:
    before = build_report(run).read_bytes()
    (run / "gallery.npz").write_bytes(b"PK\x03\x04 half a file")
    with pytest.raises(TwofoldError, match=r"gallery\.npz' is damaged"):
        build_report(run)
    assert (run / "report.html").read_bytes() == before
    assert not list(run.glob(".report*"))


def test_a_folder_that_is_no_run_is_named(tmp_path: Path) -> None:
    with pytest.raises(TwofoldError, match=r"has no recipe\.json"):
        build_report(tmp_path)


def keep(run: Path, name: str, data: str, mean: float) -> None:
    folder = run / "evaluations" / name
    folder.mkdir(parents=True)
    rows = [row("linear", "trained", "all", mean)]
    (folder / "evaluation.json").write_text(json.dumps(rows))
    (folder / "evaluation_details.json").write_text(json.dumps({"data": data}))


def test_other_evaluations_are_shown_and_older_ones_listed(run: Path) -> None:
    keep(run, "herons-1", "herons", 0.33333)
    keep(run, "ducks-1", "/data/ducks", 0.44444)
    page = Page(build_report(run))
    assert page.sections == ALL | {"evaluations"}
    assert "evaluations/herons-1: 33.3 % (linear probe with all labels)" in page.texts
    assert "ducks" in page.texts
    assert "44.4" in page.texts  # in a table of its own
    assert "33.3" not in page.texts


def test_the_evaluation_that_the_report_is_about_is_not_listed_again(run: Path) -> None:
    keep(run, "herons-1", "herons", 0.5)
    for name in ("evaluation.json", "evaluation_details.json"):
        (run / "evaluations" / "herons-1" / name).write_bytes((run / name).read_bytes())
    assert Page(build_report(run)).sections == ALL


def test_every_metric_is_named_where_a_table_has_several(run: Path) -> None:
    rows = [
        row("linear", "trained", "all", mean, metric=name) for name, mean in (("mean_per_class", 0.4), ("top1", 0.5))
    ]
    (run / "evaluation.json").write_text(json.dumps(rows))
    page = build_report(run).read_text()
    assert page.index("<small>mean accuracy per class</small>") < page.index("<small>top-1 accuracy</small>")
    (run / "evaluation.json").write_text(json.dumps(rows[1:]))
    assert "<small>top-1 accuracy</small>" not in build_report(run).read_text()


def test_the_report_links_to_the_pages_of_what_was_done_with_the_encoder(run: Path) -> None:
    for name, page in (("clean", "clean.html"), ("pick-2", "label.html"), ("gone", "not there.html")):
        (run / name).mkdir()
        write_answer(run / name, f"{name} {HOSTILE}", page, [f"3 findings {HOSTILE}"])
    (run / "clean" / "clean.html").write_text("x")
    (run / "pick-2" / "label.html").write_text("x")
    page = Page(build_report(run))
    assert page.well_formed
    assert "put-to-use" in page.sections
    local = [address for address in loads(page) if not address.startswith(("data:", "#"))]
    assert local == ["clean/clean.html", "pick-2/label.html"]
    assert f"3 findings {SPELT}" in page.text


def test_a_page_outside_its_folder_is_not_linked_to(run: Path) -> None:
    (run / "clean").mkdir()
    (run.parent / "mine.html").write_text("x")
    write_answer(run / "clean", "Findings", "../../mine.html", [])
    assert "put-to-use" not in Page(build_report(run)).sections
