"""The page of a study: complete, self-contained, safe, and there also while nothing is measured."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from report.page import Page
from studies import made_up
from twofold.studies.engine.results import Results
from twofold.studies.show.figure import draw_study
from twofold.studies.show.page import build_page
from twofold.studies.show.wording import here, number

LOADING = {"src", "href", "srcset", "poster", "action", "formaction", "background", "xlink:href"}
HOSTILE = "<script>alert(1)</script>"


def read(record: dict[str, Any], folder: Path) -> Page:
    """The page as it is read back; records are those that JSON holds."""
    path = folder / "report.html"
    path.write_bytes(build_page(json.loads(json.dumps(record)), draw_study(record)))
    return Page(path)


@pytest.fixture
def record() -> dict[str, Any]:
    found = Results()
    panels = [made_up.heat(found), made_up.lines(found), made_up.dots(found), made_up.entropies(found)]
    return made_up.record(found, panels, made_up.CLAIMS)


def test_the_page_is_whole_and_fetches_nothing(record: dict[str, Any], tmp_path: Path) -> None:
    page = read(record, tmp_path)
    assert page.well_formed
    assert page.sections == {"figure", "tables", "claims", "made"}
    assert page.scripts == []
    addresses = [
        value for _, attributes in page.elements for name, value in attributes.items() if name in LOADING and value
    ]
    addresses += re.findall(r"url\(([^)]*)\)|@import\s+(\S+)", " ".join(page.styles))
    assert all(str(address).startswith(("data:", "#")) for address in addresses)


def test_every_mean_every_claim_and_how_it_was_made_are_on_it(record: dict[str, Any], tmp_path: Path) -> None:
    page = read(record, tmp_path)
    for panel in record["panels"]:
        for place in panel["places"]:
            if place["mean"] is not None:
                assert number(place["mean"], panel["unit"]) in page.texts
    for claim in record["claims"]:
        assert {claim["claim"], here(claim), claim["verdict"]} <= set(page.texts)
    for outcome in (outcome for claim in record["claims"] for outcome in claim["outcomes"]):
        assert outcome["name"] in page.texts
    for text in ("asks", "command"):
        assert record[text] in page.texts
    assert "1 h 2 min" in page.text
    assert f"of the {len(record['claims'])} claims that could be tested would still be called" in page.text
    assert "a CPU (AMD EPYC, 1 thread, bf16)" in page.text
    assert "Two epochs are few." in page.text
    assert "Of 3 claims: 1 reproduced, 1 contradicted, 1 undecided." in page.text
    assert "colour_strength none; temperature 0.1" in page.text
    assert "ab12" in page.text


def test_verdicts_are_told_apart_without_colour(record: dict[str, Any], tmp_path: Path) -> None:
    page = read(record, tmp_path)
    assert {"✓", "✗", "?"} <= set(page.texts)


def test_names_are_text(record: dict[str, Any], tmp_path: Path) -> None:
    text = json.dumps(record).replace("NT-Xent", HOSTILE).replace("CIFAR10", HOSTILE).replace("Which head", HOSTILE)
    page = read(json.loads(text), tmp_path)
    assert page.well_formed
    assert page.scripts == []
    assert page.text.count(HOSTILE) >= 3


def test_a_half_finished_study_says_so(tmp_path: Path) -> None:
    found = Results()
    panels = [made_up.lines(found, seeds=1), made_up.entropies(found, seeds=0)]
    record = made_up.record(found, panels, made_up.CLAIMS, finished=False, cells_planned=40)
    page = read(record, tmp_path)
    assert page.well_formed
    assert "Not finished: 9 of 40 cells are measured." in page.text
    assert "one seed, no interval" in page.text
    assert "\u2013" in page.texts


def test_a_study_without_cells_has_a_page(tmp_path: Path) -> None:
    found = Results()
    panels = [made_up.heat(found, seeds=0), made_up.dots(found, seeds=0)]
    for shown in (panels, []):
        record = made_up.record(found, shown, made_up.CLAIMS if shown else (), finished=False, cells_planned=7)
        page = read(record, tmp_path)
        assert page.well_formed
        assert "0 of 7 cells" in page.text


def test_the_tools_section_and_table_of_verdicts(
    record: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(Path(__file__).parents[3] / "tools"))
    from study_results import study_section, verdicts_table

    section = study_section("heads", record, tmp_path)
    assert section[0] == "## Study: heads"
    assert (tmp_path / "heads-study.svg").read_bytes() == draw_study(record)
    assert any("](heads-study.svg)" in line for line in section)
    table = verdicts_table({"heads": record})
    verdicts, predictors = (part.splitlines() for part in "\n".join(table).split("## Do measures"))
    assert len([line for line in verdicts if line.startswith("| heads |")]) == len(record["claims"])
    assert len([line for line in predictors if line.startswith("| heads |")]) == 1
    assert sum(record["command"] in line for line in table) == 1
    assert verdicts_table({}) == []
