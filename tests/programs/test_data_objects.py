"""Objects in the place of a folder, in every program that reads data."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image

import twofold
from data_objects import HuggingFace, Pairs
from pictures import CLASSES, picture
from small_recipe import SMALL
from twofold.data import ImageSet
from twofold.errors import TwofoldError

PER_CLASS = 8


class EnoughError(Exception):
    """Nothing more is measured."""


def images(seed: int = 0) -> list[np.ndarray]:
    return [picture(kind, seed + number) for kind in CLASSES for number in range(PER_CLASS)]


def pairs(seed: int = 0) -> Pairs:
    return Pairs([Image.fromarray(one) for one in images(seed)], [n // PER_CLASS for n in range(24)], list(CLASSES))


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("objects")


@pytest.fixture(scope="module")
def data() -> dict[str, Any]:
    return {"train": pairs(), "test": HuggingFace.of(images(100), [n // PER_CLASS for n in range(24)], list(CLASSES))}


@pytest.fixture(scope="module")
def run(home: Path, data: dict[str, Any]) -> twofold.Run:
    return pretrain(home, data)


def pretrain(home: Path, data: Any, name: str = "run", **settings: Any) -> twofold.Run:
    return twofold.pretrain(data, out=home / name, recipe=SMALL, cache=home / "cache", batch_size=8, **settings)


def weights(run: twofold.Run) -> dict[str, torch.Tensor]:
    return twofold.load(run).encoder.state_dict()


def test_it_trains_as_the_same_images_in_a_folder_do(home: Path, run: twofold.Run) -> None:
    for split, seed in (("train", 0), ("test", 100)):
        for number, image in enumerate(images(seed)):
            place = home / "folder" / split / CLASSES[number // PER_CLASS] / f"{number:02}.png"
            place.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(image).save(place)
    trained, same = weights(run), weights(pretrain(home, home / "folder", "of a folder"))
    assert all(torch.equal(trained[name], same[name]) for name in same)


def test_a_new_object_of_the_same_content_continues_and_another_is_refused(
    home: Path, run: twofold.Run, data: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    before = weights(run)
    again = pretrain(home, {"train": pairs(), "test": data["test"]})
    assert all(torch.equal(tensor, before[name]) for name, tensor in weights(again).items())
    assert "Continuing at step 3 of 3" in capsys.readouterr().out
    with pytest.raises(TwofoldError, match="differ from those that the run"):
        pretrain(home, {"train": pairs(seed=1), "test": data["test"]})


def test_it_is_evaluated_embedded_and_transferred_to(home: Path, run: twofold.Run, data: dict[str, Any]) -> None:
    cache = home / "cache"
    found = twofold.evaluate(run, data=data, protocol="knn", shots=2, seeds=1, few_seeds=1, cache=cache)
    assert found.details["classes"] == list(CLASSES)
    assert found.details["test"] == 24
    table = pq.read_table(twofold.embed(run, pairs(), out=home / "h.parquet", cache=cache))  # type: ignore[no-untyped-call]
    assert table["label"].to_pylist() == [kind for kind in CLASSES for _ in range(PER_CLASS)]
    moved = twofold.transfer(run, to=[data["test"], home / "folder"], protocol="knn", seeds=1, cache=cache)
    assert list(moved) == ["made_up", str(home / "folder")]
    with pytest.raises(TwofoldError, match=r"^to is \['Pairs', 'Pairs'\], .* each of its own name"):
        twofold.transfer(run, to=(pairs(), pairs()), protocol="knn", seeds=1, cache=cache)


def test_it_is_what_bench_measures_on(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[ImageSet] = []

    def measured(_recipe: object, _hardware: object, given: ImageSet, **_how: object) -> None:
        seen.append(given)
        raise EnoughError

    monkeypatch.setattr("twofold.programs.bench.bench_encoders", measured)
    with pytest.raises(EnoughError):
        twofold.bench(pairs(), out=home / "b.json", cache=home / "cache", batch_size=8)
    assert [(one.name, len(one)) for one in seen] == [("Pairs", 24)]
