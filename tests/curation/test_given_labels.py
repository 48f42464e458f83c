"""Which labels are learnt from: those of classes that have two."""

import numpy as np
import pytest

from twofold.curation.given_labels import number_labels
from twofold.errors import TwofoldError


def test_classes_are_numbered_in_order_and_images_without_a_label_left_out() -> None:
    given = number_labels(["b", None, "a", "b", "a"], "labels.csv")
    assert given.classes == ["a", "b"]
    np.testing.assert_array_equal(given.rows, [0, 2, 3, 4])
    np.testing.assert_array_equal(given.ids, [1, 0, 1, 0])
    np.testing.assert_array_equal(given.counts, [2, 2])


def test_a_class_with_one_label_is_left_out_and_said(capsys: pytest.CaptureFixture[str]) -> None:
    given = number_labels(["b", "hat", "a", "b", "a"], "labels.csv")
    assert given.classes == ["a", "b"]
    assert 1 not in given.rows
    assert "left out, as there is one label each: 'hat'" in capsys.readouterr().out


@pytest.mark.parametrize("labels", [["a", "b"], ["a", "a", "b"]])
def test_where_too_few_classes_would_be_left_none_is_left_out(labels: list[str | None]) -> None:
    assert number_labels(labels, "labels.csv").classes == ["a", "b"]


def test_no_label_at_all_is_refused() -> None:
    with pytest.raises(TwofoldError, match="has no label for any image"):
        number_labels([None, None], "labels.csv")
