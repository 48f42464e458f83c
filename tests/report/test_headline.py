"""The sentences on top: right numbers, honest about baselines and about runs that went wrong."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from report.conftest import difference, write_metrics, write_record
from twofold.report import headline, table
from twofold.report.read import read_run


def test_title_and_lead_say_what_was_trained_on_what(run: Path) -> None:
    content = read_run(run)
    assert headline.title(content).startswith("ResNet-18, trained on 1,234 images of ")
    assert headline.lead(content) == (
        "60 steps (3 epochs) of 8 images each in 1 min 15 s on a CPU (Abacus 3000, 2 threads, bf16), "
        "begun on 2 January 2026."
    )


def test_the_verdict_names_the_baselines(run: Path) -> None:
    assert headline.verdict(read_run(run)) == (
        "With all labels, a linear probe on its embeddings reaches 91.2 % top-1 accuracy on the 30 test images, "
        "against 60.0 % from the untrained encoder and 70.0 % from raw pixels."
    )


def test_what_no_image_is_needed_for_is_said_beside(run: Path) -> None:
    details = json.loads((run / "evaluation_details.json").read_text())
    details["majority"] = {"class": "heron", "top1": 0.4, "mean_per_class": 1 / 3}
    (run / "evaluation_details.json").write_text(json.dumps(details))
    assert str(headline.verdict(read_run(run))).endswith("; always predicting the most frequent class gets 40.0 %.")


def compare(run: Path, mean: float, low: float | None = None, high: float | None = None, **pair: object) -> None:
    """Add a paired difference: of the linear probes with all labels, the trained encoder's and that on pixels."""
    details = json.loads((run / "evaluation_details.json").read_text())
    pair = {"protocol": "linear", "against_protocol": "linear", "against_encoder": "pixels", "labels": "all"} | pair
    details["differences"] = [*details.get("differences", []), difference(mean, low, high, **pair)]
    (run / "evaluation_details.json").write_text(json.dumps(details))


def test_key_figures_compare_with_the_best_baseline(run: Path) -> None:
    compare(run, 0.312, 0.3, 0.33, against_encoder="untrained")
    compare(run, 0.212, 0.2, 0.22)
    figures = headline.key_figures(read_run(run))
    assert len(figures) == 3
    assert [(figure.value, figure.remark) for figure in figures[:3]] == [
        ("91.2", "21.2 points above raw pixels"),
        ("77.7", "95 % interval 75.0 \u2013 80.0"),
        ("85.0", "95 % interval 84.0 \u2013 86.0"),
    ]


def test_what_was_not_compared_in_pairs_is_not_said_to_be_above(run: Path) -> None:
    """Neither two means nor two intervals beside each other say so: here only the worse baseline was compared."""
    compare(run, 0.312, 0.3, 0.33, against_encoder="untrained")
    assert headline.key_figures(read_run(run))[0].remark == "95 % interval 90.0 \u2013 92.0"


def test_fine_tuning_at_the_smallest_fraction_is_a_key_figure(rich: Path) -> None:
    compare(
        rich,
        0.2,
        0.19,
        0.21,
        protocol="finetune",
        against_protocol="supervised",
        against_encoder="untrained",
        labels=0.05,
    )
    figures = headline.key_figures(read_run(rich))
    assert len(figures) == 4
    assert (figures[2].value, figures[2].name, figures[2].remark) == (
        "70.0",
        "fine-tuning at 5 % of the labels",
        "20.0 points above supervised from scratch",
    )


def test_a_run_that_begins_with_other_metrics_has_the_same_verdict(rich: Path) -> None:
    before = headline.verdict(read_run(rich))
    rows = json.loads((rich / "evaluation.json").read_text())
    (rich / "evaluation.json").write_text(json.dumps(rows[::-1]))
    assert headline.verdict(read_run(rich)) == before
    assert "91.2 %" in str(before)


def test_a_loss_against_the_baseline_is_said(run: Path) -> None:
    rows = json.loads((run / "evaluation.json").read_text())
    rows[0] |= {"mean": 0.65}
    (run / "evaluation.json").write_text(json.dumps(rows))
    compare(run, -0.05, -0.07, -0.03)
    assert headline.key_figures(read_run(run))[0].remark == "5.0 points below raw pixels"


def change_rows(run: Path, *changes: dict[str, float | None]) -> None:
    """Change the first rows of evaluation.json: linear with all labels, of trained, untrained, pixels."""
    rows = json.loads((run / "evaluation.json").read_text())
    changed = [row | change for row, change in zip(rows, changes, strict=False)]
    (run / "evaluation.json").write_text(json.dumps(changed + rows[len(changes) :]))


@pytest.mark.parametrize(
    ("low", "high", "open_"),
    [(-0.01, 0.05, True), (0.0, 0.05, True), (None, None, True), (0.001, 0.05, False)],
    ids=["around 0", "touching", "one draw", "above"],
)
def test_a_gain_is_doubted_where_the_paired_difference_is(
    run: Path, low: float | None, high: float | None, *, open_: bool
) -> None:
    """The rows' own intervals, which overlap, say nothing of it."""
    change_rows(run, {"mean": 0.722, "low": 0.6, "high": 0.8})
    compare(run, 0.022, low, high)
    remark = headline.key_figures(read_run(run))[0].remark
    assert remark == "2.2 points above raw pixels" + (" (no clear difference)" if open_ else "")


def test_rows_without_an_interval_say_so(run: Path) -> None:
    rows = json.loads((run / "evaluation.json").read_text())
    (run / "evaluation.json").write_text(json.dumps([row | {"low": None, "high": None} for row in rows]))
    content = read_run(run)
    assert [figure.remark for figure in headline.key_figures(content)[:3]] == ["no interval"] * 3
    cells = [cell for row in table.build_table(content.measurements).rows for cell in row.cells if cell]
    assert {cell.interval for cell in cells} == {"no interval"}
    assert "reaches 91.2 %" in str(headline.verdict(content))


def test_positive_pairs_found_in_training_are_out_of_the_batch(run: Path) -> None:
    figure = headline.training_figures(read_run(run))[0]
    assert (figure.name, figure.remark) == ("positive pairs found at the end", "among 8 candidates, in training")


def test_a_run_without_measurements_shows_how_training_ended(run: Path) -> None:
    (run / "evaluation.json").unlink()
    content = read_run(run)
    assert headline.verdict(content) is None
    assert [(figure.value, figure.unit) for figure in headline.key_figures(content)] == [
        ("62.1", "%"),
        ("1:15", "min"),
        ("1.717", "nats"),
        ("12.5", ""),
    ]


def without_pairs(run: Path, keep: Callable[[int], bool] = lambda step: False) -> None:
    """Drop pair_accuracy from the monitor rows of the steps that are not kept."""
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    kept = [{k: v for k, v in row.items() if k != "pair_accuracy" or keep(row["step"])} for row in rows]
    (run / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in kept))


def test_without_measurements_the_pairs_of_fixed_pictures_are_compared_with_before(run: Path) -> None:
    (run / "evaluation.json").unlink()
    figure = headline.key_figures(read_run(run))[0]
    assert (figure.value, figure.name) == ("62.1", "of positive pairs found")
    assert figure.remark == "among up to 512 images, 2.1 % before training"
    without_pairs(run, keep=lambda step: step > 0)
    assert headline.key_figures(read_run(run))[0].remark == "among up to 512 images"


@pytest.mark.parametrize("first", [True, False])
def test_an_old_run_or_one_at_its_start_shows_the_pairs_of_its_batches(run: Path, first: bool) -> None:
    (run / "evaluation.json").unlink()
    without_pairs(run, keep=lambda step: first and step == 0)
    figure = headline.key_figures(read_run(run))[0]
    assert figure.value == "59.0"  # the mean of the last three rows
    assert figure.remark == "among 8 candidates, in training"


def test_fresh_weights_are_not_called_collapsed(run: Path) -> None:
    (run / "metrics.jsonl").write_text('{"step": 0, "epoch": 0.0, "z_std": 0.01, "h_effective_rank": 1.1}\n')
    assert headline.warning(read_run(run)) is None


def test_a_whole_healthy_run_has_no_warning(run: Path) -> None:
    assert headline.warning(read_run(run)) is None


def test_the_speed_belongs_to_the_time_beside_it(run: Path) -> None:
    (run / "evaluation.json").unlink()
    figure = headline.key_figures(read_run(run))[1]
    assert (figure.value, figure.remark) == ("1:15", "6.4 images a second, over all")  # 60 steps of 8 in 75 s


def test_an_unfinished_run_says_so(run: Path) -> None:
    write_metrics(run, steps=45)
    content = read_run(run)
    assert headline.lead(content).startswith("45 of 60 steps (2.2 epochs)")
    assert headline.warning(content) == "This run is not finished: 45 of 60 steps are recorded so far."


def test_a_run_of_two_steps_is_told_that_they_are_too_few(run: Path) -> None:
    """Not that it has collapsed or learns nothing: nobody can tell."""
    write_metrics(run, steps=2)
    write_record(run, steps=2)
    with (run / "metrics.jsonl").open("a") as file:
        file.write('{"step": 2, "epoch": 0.1, "z_std": 0.01, "h_effective_rank": 1.1, "loss_share": 1.0}\n')
    assert headline.warning(read_run(run)) == "This run took 2 steps, too few to learn from: train longer."


def test_a_diverged_run_says_so(run: Path) -> None:
    with (run / "metrics.jsonl").open("a") as file:
        file.write('{"step": 61, "epoch": 3.05, "loss": NaN}\n')
    assert "diverged" in str(headline.warning(read_run(run)))


def test_a_collapsed_run_says_so(run: Path) -> None:
    with (run / "metrics.jsonl").open("a") as file:
        file.write('{"step": 60, "epoch": 3.0, "z_std": 0.01, "h_effective_rank": 1.1}\n')
    assert "collapsed" in str(headline.warning(read_run(run)))


def test_a_run_that_learnt_little_says_so(run: Path) -> None:
    with (run / "metrics.jsonl").open("a") as file:
        row = {"step": 60, "epoch": 3.0, "z_std": 0.8, "h_effective_rank": 9.0}
        file.write(json.dumps({**row, "loss_share": 0.995, "z_rank_share": 0.04}) + "\n")
    text = str(headline.warning(read_run(run)))
    assert "The loss is 99.5% of its value by chance" in text
    assert "Z uses 4.0% of its dimensions" in text


def test_a_gpu_is_named(run: Path) -> None:
    write_record(run, hardware={"device": "cuda:1", "precision": "bf16", "name": "Gizmo 9", "cpu": "Abacus"})
    assert "on a GPU (Gizmo 9, bf16)" in headline.lead(read_run(run))
