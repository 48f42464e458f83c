"""Every command that reads data says what it holds, run and report keep it, and no layout is measured otherwise."""

import csv
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from pictures import picture
from small_recipe import SMALL
from twofold.errors import TwofoldError
from twofold.programs.bench import bench
from twofold.programs.embed import embed
from twofold.programs.evaluate import evaluate
from twofold.programs.pretrain import pretrain
from twofold.programs.transfer import transfer

KNN: dict[str, Any] = {"protocol": ["knn"], "shots": [1], "seeds": 1, "few_seeds": 2}
LABELLED, UNLABELLED = 8, 144


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tenth of 160 images in bars/ and discs/, the others in unlabelled/, and a photograph of a phone."""
    home = tmp_path_factory.mktemp("partly") / "data"
    for kind in ("bars", "discs"):
        for seed in range(LABELLED + UNLABELLED // 2):
            place = home / (kind if seed < LABELLED else "unlabelled")
            place.mkdir(parents=True, exist_ok=True)
            Image.fromarray(picture(kind, seed, 16)).save(place / f"{kind}{seed:03d}.png")
    (home / "IMG_1.HEIF.fits").write_bytes(b"x")
    return home


@pytest.fixture(scope="module")
def run(folder: Path) -> Path:
    place = folder.parent / "run"
    pretrain(folder, out=place, recipe=SMALL, cache=folder.parent / "cache")
    return place


def as_table(folder: Path, place: Path) -> Path:
    shutil.copytree(folder, place)
    with (place / "labels.csv").open("w", newline="") as file:
        writer = csv.writer(file, delimiter=";")
        writer.writerow(["filename", "class"])
        for path in sorted(place.rglob("*.png")):
            label = path.parent.name
            writer.writerow([path.relative_to(place), "nan" if label == "unlabelled" else label])
    return place / "labels.csv"


def as_parquet(folder: Path, place: Path) -> Path:
    paths = sorted(folder.rglob("*.png"))
    cells = [{"bytes": path.read_bytes(), "path": str(path.relative_to(folder))} for path in paths]
    labels = [None if path.parent.name == "unlabelled" else path.parent.name for path in paths]
    place.mkdir()
    pq.write_table(pa.table({"image": cells, "labels": labels}), place / "data.parquet")
    return place / "data.parquet"


def test_three_layouts_of_few_labels_give_the_same_evaluation(folder: Path, run: Path, tmp_path: Path) -> None:
    forms: dict[str, Callable[[Path, Path], Path]] = {"table": as_table, "parquet": as_parquet}
    forms["folders"] = lambda data, _: data
    found = {}
    for name, make in forms.items():
        own = Path(shutil.copytree(run, tmp_path / f"run of {name}"))
        evaluation = evaluate(own, data=make(folder, tmp_path / name), cache=tmp_path / "cache", **KNN)
        found[name] = [row.to_dict() for row in evaluation.rows]
        assert evaluation.details["test"] == 2 * LABELLED, "so few that each is tested once, in folds"
    assert found["table"] == found["parquet"] == found["folders"]


def test_the_survey_is_printed_by_every_command(
    folder: Path, run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place, cache = Path(shutil.copytree(run, tmp_path / "run")), tmp_path / "cache"
    calls: dict[str, Callable[[], object]] = {
        "pretrain": lambda: pretrain(folder, out=tmp_path / "new", recipe=SMALL, cache=cache),
        "evaluate": lambda: evaluate(place, data=folder, cache=cache, **KNN),
        "embed": lambda: embed(place, folder, out=tmp_path / "x.parquet", cache=cache),
        "transfer": lambda: transfer(place, to=[folder], protocol=["knn"], seeds=1, cache=cache),
        "bench": lambda: bench(
            folder, recipe=str(run / "recipe.json"), out=tmp_path / "b.json", seconds=1, cache=cache
        ),
    }
    labels = f"labels: 2 classes, bars ({LABELLED}), discs ({LABELLED}); {UNLABELLED} of 160 images have none"
    for name, call in calls.items():
        call()
        out = " ".join(capsys.readouterr().out.split())
        assert out.count(labels) == 1, name
        assert "images that cannot be read here: 1 x .fits (FITS image)" in out, name


@pytest.mark.parametrize("motif", [5, 1], ids=["bursts", "images of their own"])
def test_evaluate_and_transfer_say_where_embeddings_show_a_leak(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], motif: int
) -> None:
    draw = np.random.default_rng(0)
    for kind in ("bars", "discs"):
        (tmp_path / "data" / kind).mkdir(parents=True)
        for number in range(40):
            pixels = picture(kind, number // motif, 16) + draw.integers(0, 3, (16, 16, 3))
            image = Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))
            image.save(tmp_path / "data" / kind / f"{number:03d}.png")
    own = Path(shutil.copytree(run, tmp_path / "run"))
    evaluation = evaluate(own, data=tmp_path / "data", cache=tmp_path / "cache", **KNN)
    assert ("TF031" in capsys.readouterr().out) is (motif == 5)
    assert any("next to it by name" in text for text in evaluation.details["stated"]) is (motif == 5)
    data = str(tmp_path / "data")
    moved = transfer(own, to=[data], protocol=["knn"], seeds=1, cache=tmp_path / "cache")[data]
    assert moved.details["caveats"] == evaluation.details["caveats"]
    assert ("TF031" in capsys.readouterr().out) is (motif == 5)
    assert ("next to it by name" in (own / "report.html").read_text().split('id="transfer"')[1]) is (motif == 5)


def test_the_run_and_the_report_keep_it(run: Path) -> None:
    kept = json.loads((run / "recipe.json").read_text())["data"]["survey"]
    assert kept["classes"] == {"bars": LABELLED, "discs": LABELLED}
    assert kept["unlabelled"] == UNLABELLED
    assert kept["splits"] == {"train": 2 * LABELLED + UNLABELLED - 4, "test": 4}
    assert {"TF001", "TF007", "TF010"} <= {finding["code"] for finding in kept["findings"]}
    report = (run / "report.html").read_text()
    assert f"labels: 2 classes, bars ({LABELLED}), discs ({LABELLED}); {UNLABELLED} of 160 images have none" in report


def test_few_labels_are_watched_while_training(run: Path) -> None:
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert any("knn_top1" in row for row in rows)


def test_other_columns_may_be_named_when_measuring(folder: Path, run: Path, tmp_path: Path) -> None:
    table = as_table(folder, tmp_path / "table")
    table.write_text(table.read_text().replace("filename;class", "where;what"))
    own = Path(shutil.copytree(run, tmp_path / "run"))
    with pytest.raises(TwofoldError, match="--path-column"):
        evaluate(own, data=table, cache=tmp_path / "cache", **KNN)
    evaluation = evaluate(own, data=table, cache=tmp_path / "cache", path_column="where", label_column="what", **KNN)
    assert evaluation.details["classes"] == ["bars", "discs"]
    with pytest.raises(TwofoldError, match="unknown setting 'label_colum'; did you mean 'label_column'"):
        evaluate(own, data=table, cache=tmp_path / "cache", label_colum="what", **KNN)  # type: ignore[call-arg]
