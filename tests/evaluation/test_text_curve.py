"""The curve in the terminal: every figure at its height, in its column, under its letter."""

from twofold.evaluation.table import Row
from twofold.evaluation.text_curve import HEIGHT, WIDTH, text_curve

PER_CLASS = {"all": 500.0, "1": 1.0, "0.1": 50.0}


def row(protocol, encoder, labels, mean, metric="top1"):
    return Row(
        protocol=protocol, encoder=encoder, labels=labels, metric=metric, mean=mean, low=None, high=None, seeds=1
    )


def column(line, place):
    return line[7 + place * WIDTH : 7 + (place + 1) * WIDTH].strip()


def test_letters_stand_at_their_heights_from_few_labels_to_many():
    rows = [
        row("linear", "trained", "all", 0.70),
        row("linear", "trained", 1, 0.30),
        row("finetune", "trained", 0.1, 0.50),
        row("linear", "trained", 0.1, 0.50),
        row("linear", "pixels", 0.1, 0.999, metric="ece"),  # another metric has no place here
    ]
    lines = text_curve(rows, PER_CLASS)
    grid = lines[1 : 1 + HEIGHT]
    assert column(grid[0], 2) == "L"
    assert column(grid[-1], 0) == "L"
    assert [column(line, 1) for line in grid if column(line, 1)] == ["FL"]
    middle = next(place for place, line in enumerate(grid) if column(line, 1))
    assert abs(middle - (HEIGHT - 1) / 2) <= 0.5
    assert [column(lines[HEIGHT + 2], place) for place in range(3)] == ["1 a class", "10 % (50)", "all (500)"]
    assert "F fine-tuned" in lines[-1]
    assert "pixels" not in lines[-1]


def test_heights_move_with_the_figures():
    one, other = (
        text_curve([row("knn", "trained", 1, mean), row("knn", "trained", "all", 0.9)], PER_CLASS)
        for mean in (0.31, 0.62)
    )
    assert one != other


def test_one_budget_is_no_curve():
    assert text_curve([row("linear", "trained", "all", 0.5)], PER_CLASS) == []
