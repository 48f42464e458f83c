"""Runs are compared image by image, from what was kept."""

import json
from pathlib import Path

import numpy as np
import pytest

from report.conftest import write_record
from twofold import compare
from twofold.errors import TwofoldError
from twofold.evaluation import write_predictions
from twofold.evaluation.predictions import Predictions

M = 200
TRUTH = np.arange(M) % 2
PATHS = [f"{number}.png" for number in range(M)]


def measured(folder: Path, wrong: dict[int, int], *, paths: list[str] = PATHS, name: str = "leaves-1") -> Path:
    """A run whose linear probe, with 10 labels a class, errs on the first `wrong[seed]` images."""
    folder.mkdir(exist_ok=True)
    write_record(folder)
    kept = folder / "evaluations" / name
    kept.mkdir(parents=True)
    predictions = []
    for seed, count in wrong.items():
        said = np.where(np.arange(M) < count, 1 - TRUTH, TRUTH)
        confidence = np.full(M, 0.75, np.float32)
        predictions.append(
            Predictions(
                protocol="linear",
                encoder="trained",
                labels=10,
                seed=seed,
                ranked=np.stack([said, 1 - said], axis=1),
                confidence=confidence,
            )
        )
    write_predictions(kept / "predictions.parquet", predictions, paths=paths, truth=TRUTH, classes=["a", "b"])
    details = {"data": "leaves", "train": 400, "classes": ["a", "b"], "labels_per_class": {"10": 10.0}}
    (kept / "evaluation_details.json").write_text(json.dumps(details))
    (kept / "evaluation.json").write_text("[]")
    return folder


def test_the_difference_is_paired_by_image_and_by_draw(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    good = measured(tmp_path / "good", {0: 10, 1: 12, 2: 14})
    poor = measured(tmp_path / "poor", {0: 50, 1: 52, 2: 54})
    (one,) = compare(good, poor)
    assert one.mean == pytest.approx(0.2)  # 40 of 200 images, in each draw
    assert one.low is not None
    assert one.high is not None
    assert 0.13 < one.low < 0.2 < one.high < 0.27  # 1.96 sqrt(0.2 x 0.8 / 200) = 0.055: draws do not vary
    assert (one.seeds, one.over, one.labels) == (3, "images and draws", 10)
    said = capsys.readouterr().out
    assert "beats" in said
    assert "by chance" not in said, "one comparison is not many"
    (back,) = compare(poor, good)
    assert back.mean == pytest.approx(-one.mean)


def test_three_runs_are_three_pairs_and_counted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    runs = [measured(tmp_path / name, {0: 10, 1: 12}) for name in "abc"]
    assert [(one.encoder, one.against_encoder) for one in compare(*runs)] == [
        (str(runs[first]), str(runs[second])) for first, second in ((0, 1), (0, 2), (1, 2))
    ]
    said = " ".join(capsys.readouterr().out.split())
    assert "Of 3 comparisons at 95 %, about 0.2 would look clear by chance alone." in said


def test_where_the_mean_per_class_led_it_is_what_is_compared(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(globals(), "TRUTH", (np.arange(M) < 20).astype(int))  # 20 of 200 are of the rare class
    runs = [measured(tmp_path / name, {0: wrong, 1: wrong}) for name, wrong in (("good", 0), ("poor", 40))]
    (top1,) = compare(*runs)
    details = runs[0] / "evaluations" / "leaves-1" / "evaluation_details.json"
    led = json.loads(details.read_text()) | {"differences": [{"metric": "mean_per_class"}]}
    details.write_text(json.dumps(led))
    (one,) = compare(*runs)
    assert (top1.metric, top1.mean) == ("top1", pytest.approx(40 / 200))
    assert (one.metric, one.mean) == ("mean_per_class", pytest.approx((20 / 20 + 20 / 180) / 2))
    assert "in mean accuracy per class" in " ".join(capsys.readouterr().out.split())


def test_evaluations_of_other_images_are_passed_over(tmp_path: Path) -> None:
    first, second = (measured(tmp_path / name, {0: 10, 1: 12}) for name in "ab")
    measured(first, {0: 0, 1: 0}, paths=[f"other/{path}" for path in PATHS], name="other-1")
    assert [one.mean for one in compare(first, second)] == [0.0]


def test_what_cannot_be_compared_is_one_clear_error(tmp_path: Path) -> None:
    first = measured(tmp_path / "a", {0: 10})
    other = measured(tmp_path / "b", {0: 10}, paths=PATHS[::-1])
    with pytest.raises(TwofoldError, match="different test images"):
        compare(first, other)
    with pytest.raises(TwofoldError, match="no run is given"):
        compare()
    for runs in ([first], [first, first], [first, tmp_path / "b" / ".." / "a"]):
        with pytest.raises(TwofoldError, match="1 run is given"):
            compare(*runs)
    with pytest.raises(TwofoldError, match="3 runs are given, of which 2 are different"):
        compare(first, other, first)
    bare = tmp_path / "c"
    bare.mkdir()
    write_record(bare)
    with pytest.raises(TwofoldError, match=r"no evaluations/\*/predictions\.parquet"):
        compare(first, bare)


@pytest.mark.parametrize(
    "content",
    [None, "{", "[]", '{"labels_per_class": {"10": "ten"}}', '{"taken": {}, "differences": [{"metric": "ece"}]}'],
)
def test_details_that_are_damaged_are_named(tmp_path: Path, content: str | None) -> None:
    runs = [measured(tmp_path / name, {0: 10}) for name in "ab"]
    details = runs[0] / "evaluations" / "leaves-1" / "evaluation_details.json"
    details.unlink() if content is None else details.write_text(content)
    with pytest.raises(TwofoldError, match=r"evaluation_details\.json' is missing or damaged .*'twofold evaluate'"):
        compare(*runs)
