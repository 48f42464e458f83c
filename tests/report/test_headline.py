"""The sentences on top: right numbers, honest about baselines and about runs that went wrong."""

import json
from pathlib import Path

from report.conftest import write_metrics, write_record
from twofold.report import headline
from twofold.report.read import read_run


def test_title_and_lead_say_what_was_trained_on_what(run: Path) -> None:
    content = read_run(run)
    assert headline.title(content).startswith("ResNet-18, trained on 1,234 pictures of ")
    assert headline.lead(content) == (
        "60 steps (3 epochs) of 8 pictures each in 1 min 15 s on a CPU (Abacus 3000, 2 threads, bf16), "
        "begun on 2 January 2026."
    )


def test_the_verdict_names_the_baselines(run: Path) -> None:
    assert headline.verdict(read_run(run)) == (
        "With all labels, a linear classifier reading its embeddings names 91.2 % of the 30 test pictures correctly; "
        "the same classifier gets 60.0 % from the untrained encoder and 70.0 % from raw pixels."
    )


def test_key_figures_compare_with_the_best_baseline(run: Path) -> None:
    figures = headline.key_figures(read_run(run))
    assert 3 <= len(figures) <= 5
    assert [(figure.value, figure.remark) for figure in figures[:3]] == [
        ("91.2", "21.2 points above raw pixels"),
        ("77.7", "95 % interval 75.0 \u2013 80.0"),
        ("85.0", "95 % interval 84.0 \u2013 86.0"),
    ]


def test_a_loss_against_the_baseline_is_said(run: Path) -> None:
    rows = json.loads((run / "evaluation.json").read_text())
    rows[0] |= {"mean": 0.65}
    (run / "evaluation.json").write_text(json.dumps(rows))
    assert headline.key_figures(read_run(run))[0].remark == "5.0 points below raw pixels"


def test_a_run_without_measurements_shows_how_training_ended(run: Path) -> None:
    (run / "evaluation.json").unlink()
    content = read_run(run)
    assert headline.verdict(content) is None
    assert [(figure.value, figure.unit) for figure in headline.key_figures(content)] == [
        ("59.0", "%"),  # the mean of the last three rows
        ("1:15", "min"),
        ("1.717", "nats"),
        ("12.5", ""),
    ]


def test_a_whole_healthy_run_has_no_warning(run: Path) -> None:
    assert headline.warning(read_run(run)) is None


def test_an_unfinished_run_says_so(run: Path) -> None:
    write_metrics(run, steps=45)
    content = read_run(run)
    assert headline.lead(content).startswith("45 of 60 steps (2.2 epochs)")
    assert headline.warning(content) == "This run is not finished: 45 of 60 steps are recorded so far."


def test_a_diverged_run_says_so(run: Path) -> None:
    with (run / "metrics.jsonl").open("a") as file:
        file.write('{"step": 61, "epoch": 3.05, "loss": NaN}\n')
    assert "diverged" in str(headline.warning(read_run(run)))


def test_a_collapsed_run_says_so(run: Path) -> None:
    with (run / "metrics.jsonl").open("a") as file:
        file.write('{"step": 60, "epoch": 3.0, "z_std": 0.01, "h_effective_rank": 1.1}\n')
    assert "collapsed" in str(headline.warning(read_run(run)))


def test_a_gpu_is_named(run: Path) -> None:
    write_record(run, hardware={"device": "cuda:1", "precision": "bf16", "name": "Gizmo 9", "cpu": "Abacus"})
    assert "on a GPU (Gizmo 9, bf16)" in headline.lead(read_run(run))
