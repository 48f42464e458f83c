"""The store: predictions are made once for a key, come back bit for bit, and are made again where damaged."""

import dataclasses
import json

import numpy as np
import pytest

from twofold.evaluation.predictions import Predictions, PredictionStore

KEY = {"weights": "a", "settings": (1, 2)}


def _predictions(seed=0, **changes):
    draw = np.random.default_rng(seed)
    values = {
        "protocol": "linear",
        "encoder": "trained",
        "labels": "all",
        "seed": seed,
        "ranked": draw.integers(0, 9, (30, 5)),
        "confidence": draw.random(30, dtype=np.float32),
    }
    return Predictions(**values | changes)


MANY = [
    _predictions(0, l2=1e-6, converged=False),
    _predictions(1, labels=0.01, base_lr=0.1 + 0.2, protocol="finetune"),
    _predictions(2, labels=5, weights=3, encoder="untrained", confidence=np.full(30, np.nan, np.float32)),
    _predictions(3, ranked=np.zeros((0, 2), np.int64), confidence=np.zeros(0, np.float32)),
]


class Counted:
    """Makes the same thing each time and says how often."""

    def __init__(self, value):
        self.value, self.times = value, 0

    def __call__(self):
        self.times += 1
        return self.value


def _bits(one):
    values = {field.name: getattr(one, field.name) for field in dataclasses.fields(one)}
    return {
        name: (value.dtype, value.shape, value.tobytes()) if isinstance(value, np.ndarray) else (type(value), value)
        for name, value in values.items()
    }


def _files(folder):
    return [path for path in folder.rglob("*") if path.is_file()]


def test_predictions_come_back_bit_for_bit(tmp_path):
    PredictionStore(tmp_path, KEY).predictions("a", Counted(MANY))
    back = PredictionStore(tmp_path, KEY).predictions("a", Counted([]))
    assert [_bits(one) for one in back] == [_bits(one) for one in MANY]


@pytest.mark.parametrize("value", [0.1 + 0.2, 1e-300, "text", None, [1, 2.5, {"a": True}]])
def test_values_come_back(tmp_path, value):
    PredictionStore(tmp_path, KEY).value("a", Counted(value))
    again = Counted("other")
    assert PredictionStore(tmp_path, KEY).value("a", again) == value
    assert again.times == 0


def test_no_predictions_are_kept_as_none(tmp_path):
    make = Counted([])
    assert [PredictionStore(tmp_path, KEY).predictions("a", make) for _ in range(2)] == [[], []]
    assert make.times == 1


def test_a_name_is_made_once_and_other_names_for_themselves(tmp_path):
    first, second, choice = Counted(MANY[:1]), Counted(MANY[1:]), Counted(3)
    store = PredictionStore(tmp_path, KEY)
    assert not store.has("a")
    for _ in range(3):
        store = PredictionStore(tmp_path, dict(reversed(KEY.items())))  # the same key, whatever its order
        store.predictions("a", first)
        store.predictions("a/b", second)
        store.value("a", choice)
    assert (first.times, second.times, choice.times) == (1, 1, 1)
    assert store.has("a")
    assert not store.has("b")


def test_a_value_is_no_prediction(tmp_path):
    store = PredictionStore(tmp_path, KEY)
    store.value("a", Counted(3))
    assert not store.has("a")


@pytest.mark.parametrize("other", [KEY | {"weights": "b"}, KEY | {"settings": (2, 1)}, KEY | {"more": None}, {}])
def test_another_key_makes_everything_anew_and_leaves_the_old_alone(tmp_path, other):
    make = Counted(MANY)
    PredictionStore(tmp_path, KEY).predictions("a", make)
    (old,) = _files(tmp_path)
    before = old.read_bytes()
    store = PredictionStore(tmp_path, other)
    assert not store.has("a")
    store.predictions("a", make)
    assert make.times == 2
    assert old.read_bytes() == before
    PredictionStore(tmp_path, KEY).predictions("a", make)
    assert make.times == 2
    store.forget()
    assert _files(tmp_path) == [old]
    PredictionStore(tmp_path, KEY).forget()
    assert not tmp_path.exists()


def test_forgetting_leaves_alone_what_others_put_there(tmp_path):
    store, own = PredictionStore(tmp_path, KEY), tmp_path / "notes.txt"
    store.predictions("a", Counted(MANY))
    own.write_text("mine")
    store.forget()
    assert _files(tmp_path) == [own]


def test_one_that_another_process_forgot_in_its_middle_goes_on(tmp_path):
    """Where a file system has no locks, two may have the same key."""
    one, other = PredictionStore(tmp_path / "partial", KEY), PredictionStore(tmp_path / "partial", KEY)
    one.predictions("a", Counted(MANY))
    other.predictions("b", Counted(MANY))
    other.forget()
    make = Counted(MANY)
    for _ in range(2):
        one.predictions("c", make)
    assert make.times == 1


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.9, 0.99])
def test_a_truncated_file_is_made_again_and_then_kept(tmp_path, share):
    make = Counted(MANY)
    PredictionStore(tmp_path, KEY).predictions("a", make)
    (path,) = _files(tmp_path)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(share * len(whole))])
    for _ in range(2):
        back = PredictionStore(tmp_path, KEY).predictions("a", make)
        assert [_bits(one) for one in back] == [_bits(one) for one in MANY]
    assert make.times == 2


def test_damage_anywhere_inside_never_gives_other_figures(tmp_path):
    PredictionStore(tmp_path, KEY).predictions("a", Counted(MANY))
    (path,) = _files(tmp_path)
    whole = path.read_bytes()
    for place in range(0, len(whole), 101):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 0xFF]) + whole[place + 1 :])
        back = PredictionStore(tmp_path, KEY).predictions("a", Counted(MANY))
        assert [_bits(one) for one in back] == [_bits(one) for one in MANY]


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe\x00"])
def test_a_damaged_value_is_made_again(tmp_path, content):
    PredictionStore(tmp_path, KEY).value("a", Counted(3))
    (path,) = _files(tmp_path)
    path.write_bytes(content)
    assert PredictionStore(tmp_path, KEY).value("a", Counted(4)) == 4


def test_what_fails_is_not_kept(tmp_path):
    def fail():
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        PredictionStore(tmp_path, KEY).predictions("a", fail)
    assert not PredictionStore(tmp_path, KEY).has("a")
    assert _files(tmp_path) == []


def test_forgetting_leaves_nothing(tmp_path):
    folder = tmp_path / "partial"
    store = PredictionStore(folder, KEY)
    store.predictions("a", Counted(MANY))
    store.forget()
    assert not folder.exists()
    store.forget()  # once more does no harm


def test_without_a_folder_nothing_is_kept(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    store, make, choice = PredictionStore(None, KEY), Counted(MANY), Counted(3)
    for _ in range(2):
        assert store.predictions("a", make) is MANY
        assert store.value("a", choice) == 3
    assert (make.times, choice.times) == (2, 2)
    assert not store.has("a")
    store.forget()
    assert list(tmp_path.iterdir()) == []


def test_files_hold_what_version_0_1_0_wrote(tmp_path):
    """The names of arrays and fields are a format: what an earlier version kept is read."""
    PredictionStore(tmp_path, KEY).predictions("a", Counted(MANY[:1]))
    (path,) = _files(tmp_path)
    with np.load(path) as arrays:
        assert set(arrays) == {"plain", "ranked-0", "confidence-0"}
        (plain,) = json.loads(str(arrays["plain"]))
    fields = ["protocol", "encoder", "labels", "seed", "l2", "base_lr", "weights", "converged", "seconds"]
    assert [name for name in plain if name != "training"] == fields  # that came later, and is not missed
    del plain["training"]
    assert Predictions(**plain, ranked=MANY[0].ranked, confidence=MANY[0].confidence).training is None
