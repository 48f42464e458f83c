"""Tables: every mean once, the paper's figures beside, nothing that Markdown takes for its own."""

import json
import math
from typing import Any

import pytest

from studies import made_up
from twofold.studies.engine.claim import Claim, Comparison, judge, minus
from twofold.studies.engine.panel import Panel
from twofold.studies.engine.results import Results
from twofold.studies.show.places import by_place, panel_record
from twofold.studies.show.table import (
    claim_lines,
    claims_markdown,
    markdown,
    panel_lines,
    panel_markdown,
    reading,
    study_lines,
    study_markdown,
)
from twofold.studies.show.wording import here, interval, measured, printed


def cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip("|").split("|")]


def small(found: Results, **changed: Any) -> dict[str, Any]:
    """One row of two columns, the second of which is never measured."""
    about = {"title": "T", "rows": ("r",), "columns": ("a", "b"), "entries": {("r", "a"): ("x", "top1")}}
    return panel_record(Panel(**{**about, **changed}), found)


def of_seeds(*numbers: float) -> Results:
    found = Results()
    for seed, value in enumerate(numbers):
        values = {"top1": value, "contrast_entropy": value}
        found.add(made_up.Cell(name="x", seed=seed), values, learnt=True)
    return found


def test_a_place_is_the_mean_with_half_of_students_interval() -> None:
    place = by_place(small(of_seeds(0.6, 0.62)))["r", "a"]
    half = 12.7062 * math.sqrt(2) / math.sqrt(2)  # t(0.975, 1) std / sqrt(2) in points, std = sqrt(2)
    assert place["mean"] == pytest.approx(61)
    assert (place["high"] - place["low"]) / 2 == pytest.approx(half, rel=1e-4)
    assert measured(place, "%") == f"61.0 ± {half:.1f} (2)"


def test_a_place_of_one_seed_has_no_interval_and_one_of_none_is_empty() -> None:
    panel = small(of_seeds(0.6))
    assert cells(panel_markdown(panel)[4]) == ["r", "60.0", ""]
    assert "no interval" in panel_markdown(panel)[-1]
    panel = small(Results())
    assert cells(panel_markdown(panel)[4]) == ["r", "", ""]
    assert panel_markdown(panel)[-1] == "Nothing is measured yet."


def test_no_half_width_is_shown_as_nothing() -> None:
    panel = small(of_seeds(1.234, 1.2341), unit="nats", entries={("r", "a"): ("x", "contrast_entropy")})
    assert "1.23 ± under 0.01 (2)" in panel_markdown(panel)[4]
    assert "60.0 ± under 0.1 (2)" in panel_markdown(small(of_seeds(0.6, 0.600001)))[4]


COVERS = {
    "images and seeds": "other test images and other seeds",
    "images (at most) and seeds": "other seeds and other test images, these at the most",
    "seeds": "other seeds alone",
}


@pytest.mark.parametrize("over", COVERS)
def test_what_an_interval_covers_is_said(over: str) -> None:
    panel = small(of_seeds(0.6, 0.61))
    panel["places"][0]["over"] = over
    assert f"The interval covers {COVERS[over]}" in reading(panel)[1]


def test_intervals_of_two_kinds_are_told_apart_by_column_or_row() -> None:
    """Of a panel with both, "other seeds alone" would be wrong for one of them."""
    both = {("r", "a"): ("x", "top1"), ("s", "b"): ("x", "top1")}
    panel = small(of_seeds(0.6, 0.61), rows=("r", "s"), entries=both)
    first, second = (place for place in panel["places"] if place["mean"])
    first["over"], second["over"] = "images and seeds", "seeds"
    assert reading(panel)[1] == (
        "Under a the interval covers other test images and other seeds. Under b the interval covers other seeds alone."
    )
    first["column"] = second["column"] = "a"
    assert reading(panel)[1].startswith("Beside r the interval covers other test images and other seeds. Beside s ")
    first["row"] = second["row"] = "r"
    assert reading(panel)[1] == "The interval covers other test images and other seeds, or other seeds alone."


def test_nats_have_two_digits_and_no_factor() -> None:
    panel = small(of_seeds(1.234), unit="nats", entries={("r", "a"): ("x", "contrast_entropy")})
    assert "1.23" in panel_markdown(panel)[4]
    assert panel_markdown(panel)[-1].startswith("Nats")


@pytest.mark.parametrize("kind", ["heat", "lines", "dots"])
def test_every_mean_and_every_figure_of_the_paper_is_there_in_its_place(kind: str) -> None:
    found = Results()
    panel = panel_record(getattr(made_up, kind)(found), found)
    rows = [cells(line) for line in panel_markdown(panel)[4:-2]]
    texts = [cell for row in rows for cell in row]
    for place in panel["places"]:
        assert measured(place, "%") in texts
    papers = [cell.strip("*") for row in rows for cell in (row[1:] if row[0] == "*paper*" else row[2:]) if cell]
    assert {printed(place["paper"]) for place in panel["places"]} <= set(papers)
    plain = "\n".join(panel_lines(panel))
    assert all(measured(place, "%") in plain for place in panel["places"])


def test_the_paper_is_a_row_below_several_columns_and_a_column_beside_one() -> None:
    paper = {("r", "a"): 64.0}
    wide = small(of_seeds(0.6), paper=paper)
    assert [cells(line) for line in panel_markdown(wide)[2:6:3]] == [["", "a", "b"], ["*paper*", "*64.0*", ""]]
    narrow = small(of_seeds(0.6), paper=paper, columns=("a",))
    assert [cells(line) for line in panel_markdown(narrow)[2:5:2]] == [["", "a", "paper"], ["r", "60.0", "64.0"]]


def test_the_papers_figures_keep_their_digits() -> None:
    assert [printed(value) for value in (64, 63.9, 0.125, None)] == ["64.0", "63.9", "0.125", ""]


def test_names_are_letters_for_markdown() -> None:
    panel = small(of_seeds(0.6), rows=("<script>a|b\n</script>",), entries={}, paper={})
    assert panel_markdown(panel)[4].startswith(r"| &lt;script&gt;a\|b &lt;/script&gt; |")
    assert markdown("a & b") == "a &amp; b"


def verdicts(found: Results, *claims: Claim) -> list[dict[str, Any]]:
    return [judge(claim, found).to_dict() for claim in claims]


def test_claims_say_difference_interval_and_verdict() -> None:
    found = of_seeds(0.6, 0.61, 0.62)
    made_up.fill(found, "y", 3, spread=0.0, top1=0.5)
    table = claims_markdown(
        verdicts(found, Claim(text="x beats y", paper="+9", comparisons=(minus("x", "y"),), why_not=""))
    )
    assert cells(table[2])[:3] == ["x beats y", "+9", "+11.0 points"]
    assert cells(table[2])[4:] == ["3", "**reproduced**"]
    assert cells(table[2])[3].startswith("+8.5 to +13.5")
    assert len(table) == 3


def test_how_many_claims_chance_alone_would_decide_is_said() -> None:
    """Of those that have an interval: what is not measured is decided by nothing."""
    found, claims = of_seeds(0.6, 0.61), []
    for text in ("one", "two", "not measured"):
        comparison = Comparison(name=text, weights={("x" if text != "not measured" else "z", "top1"): 1.0})
        claims += verdicts(found, Claim(text=text, paper="", comparisons=(comparison,), why_not=""))
    said = "if nothing differed at all, about 0.1 of the 2 claims that could be tested would still be called"
    assert any(said in line for line in claims_markdown(claims))
    assert said in claim_lines(claims)[-1]
    assert not any("nothing differed" in line for line in (*claims_markdown(claims[:1]), *claim_lines(claims[1:])))


def test_a_margin_is_said_and_nats_have_no_factor() -> None:
    comparison = Comparison(name="x", weights={("x", "top1"): 1.0}, within=0.01)
    claim = Claim(text="x", paper="", comparisons=(comparison,), why_not="Few epochs.")
    (found,) = verdicts(of_seeds(0.004, 0.0041), claim)
    assert here(found) == "+0.4 points (claimed within ±1.0 points)"
    nats = Comparison(name="x", weights={("x", "contrast_entropy"): 1.0})
    (found,) = verdicts(of_seeds(0.5, 0.51), Claim(text="x", paper="", comparisons=(nats,), why_not=""))
    assert (here(found), interval(found)) == ("+0.51 nats", "+0.44 to +0.57")


def test_reasons_are_given_for_what_was_measured_and_came_out_otherwise() -> None:
    claim = Claim(
        text="x is above 0",
        paper="",
        comparisons=(Comparison(name="x", weights={("x", "top1"): 1.0}),),
        why_not="Because.",
    )
    for values, given in (((0.5, 0.51), False), ((-0.5, -0.51), True), ((0.5,), True), ((), False)):
        found = verdicts(of_seeds(*values), claim)
        assert ("- x is above 0: Because." in claims_markdown(found)) == given
        assert any("Because." in line for line in claim_lines(found)) == given


def test_a_claim_without_an_interval_says_why() -> None:
    one_term = Comparison(name="x", weights={("x", "top1"): 1.0})
    claim = Claim(text="x", paper="p", comparisons=(one_term,), why_not="")
    (one,), (none,) = verdicts(of_seeds(0.5), claim), verdicts(Results(), claim)
    assert interval(one) == "one seed, no interval"
    assert (here(none), interval(none)) == ("not measured yet", "")
    assert here(none["outcomes"][0]) == "not measured yet"  # its difference is no number, not None
    assert claim_lines([none]) == ["undecided         x: not measured yet; the paper: p"]


def test_a_study_is_written_whole_half_and_empty() -> None:
    for found, finished in ((Results(), True), (Results(), False)):
        panels = [made_up.lines(found), made_up.dots(found)]
        record = json.loads(json.dumps(made_up.record(found, panels, made_up.CLAIMS, finished=finished)))
        text = study_markdown({**record, "cells_planned": 99}, figure="f.svg", heading="##")
        assert text.startswith("## Study: heads\n")
        assert "](f.svg)" in text
        assert ("of 99 cells" in text) is not finished
        assert len(study_lines(record)) > 20
    empty = made_up.record(Results(), [], ())
    assert "0 cells" in study_markdown(empty)
    assert study_lines(empty) == empty["notes"]
