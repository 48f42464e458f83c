"""Numbers as people read them."""

import pytest

from twofold.report import wording


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.2, "0 s"),
        (59.4, "59 s"),
        (75, "1 min 15 s"),
        (3600, "1 h 0 min"),
        (100_000, "27 h 46 min"),
        (200_000, "2 d 7 h"),
    ],
)
def test_duration(seconds: float, text: str) -> None:
    assert wording.duration(seconds) == text


@pytest.mark.parametrize(
    ("seconds", "text"), [(12.3, ("12", "s")), (75, ("1:15", "min")), (3599.7, ("1:00", "h")), (4000, ("1:06", "h"))]
)
def test_clock(seconds: float, text: tuple[str, str]) -> None:
    assert wording.clock(seconds) == text


@pytest.mark.parametrize(
    ("encoder", "text"),
    [
        ({"encoder": "resnet50", "width": 1.0, "stages": 4}, "ResNet-50"),
        ({"encoder": "resnet50", "width": 2.0, "stages": 4}, "ResNet-50 (2\u00d7 wide)"),
        ({"encoder": "resnet10", "width": 0.5, "stages": 3}, "ResNet-10 (0.5\u00d7 wide, 3 stages)"),
        ({"encoder": "timm:convnext_tiny", "width": 1.0}, "timm:convnext_tiny"),
    ],
)
def test_encoder_name(encoder: dict[str, object], text: str) -> None:
    assert wording.encoder_name(encoder) == text


@pytest.mark.parametrize(
    ("name", "text"), [("/data/birds/", "birds"), ("CIFAR10", "CIFAR10"), ("a\\b.csv", "b.csv"), ("/", "/")]
)
def test_data_name(name: str, text: str) -> None:
    assert wording.data_name(name) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "none"),
        (True, "yes"),
        (1e-06, "1e-06"),
        (0.3, "0.3"),
        (256, "256"),
        ([0.08, 1.0], "0.08, 1"),
        ({"name": "crop", "prob": 1.0, "range": [0.2, 1.0]}, "crop with probability 1.0 from 0.2, 1"),
    ],
)
def test_setting_value(value: object, text: str) -> None:
    assert wording.setting_value(value) == text


@pytest.mark.parametrize(("value", "text"), [(20.0, "20"), (0.05123, "0.0512"), (1234.5, "1,234"), (47.31, "47.3")])
def test_decimal(value: float, text: str) -> None:
    assert wording.decimal(value) == text


def test_day_and_counts() -> None:
    assert wording.day("2026-03-09T23:59:00") == "9 March 2026"
    assert wording.day("yesterday") == "yesterday"
    assert (wording.counted(1, "step"), wording.counted(12_000, "step")) == ("1 step", "12,000 steps")
    assert wording.percent(0.86349) == "86.3"
    assert [wording.in_words(count) for count in (1, 8, 12, 13)] == ["one", "eight", "twelve", "13"]
