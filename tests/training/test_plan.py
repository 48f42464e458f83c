"""From recipe to numbers, and the refusals."""

import pytest

from twofold.recipes.recipe import OptimRecipe, Recipe, ScheduleRecipe
from twofold.training.plan import make_plan, most_looks


def recipe(**schedule: float) -> Recipe:
    optim = OptimRecipe(base_lr=0.3, lr_scaling="linear", warmup_fraction=0.1)
    return Recipe(optim=optim, schedule=ScheduleRecipe(batch_size=512, **schedule))


def test_epochs() -> None:
    plan = make_plan(recipe(epochs=10.0), images=50_000, step_s=1.0)
    assert plan.steps == 976
    assert plan.warmup_steps == 98
    assert plan.peak == pytest.approx(0.6)
    assert plan.derived["lr"].startswith("0.3 x 512/256 = 0.6")


def test_minutes() -> None:
    assert make_plan(recipe(minutes=2.0), images=50_000, step_s=0.5).steps == 240


def test_minutes_leave_time_for_the_looks_but_no_more_than_half() -> None:
    watched = recipe(minutes=2.0).with_settings(monitor_share=0.25)
    assert most_looks(watched) == 5
    assert make_plan(watched, images=50_000, step_s=0.5, look_s=2.0).steps == (120 - 5 * 2) / 0.5
    assert make_plan(watched, images=50_000, step_s=0.5, look_s=90.0).steps == 60 / 0.5


def test_at_least_one_step() -> None:
    assert make_plan(recipe(minutes=0.001), images=600, step_s=10.0).steps == 1
    assert make_plan(recipe(epochs=0.1), images=600, step_s=10.0).steps == 1


def test_says_how_the_batch_is_divided_and_what_that_means() -> None:
    plain = make_plan(recipe(epochs=1.0), images=50_000, step_s=1.0)
    assert plain.chunk is None
    assert {"chunks", "processes"} & plain.derived.keys() == set()
    assert plain.derived["loss"].startswith("tiled: 1,024 x 1,024 logits")
    divided = make_plan(
        Recipe(schedule=ScheduleRecipe(batch_size=8192, epochs=1.0)), images=50_000, step_s=1.0, processes=4, chunk=256
    )
    assert divided.chunk == 256
    assert divided.derived["loss"].startswith("tiled: 4,096 x 16,384 logits")
    assert divided.derived["chunks"].startswith("8,192 images in 32 chunks of 256")
    assert "gradient of the whole batch" in divided.derived["chunks"]
    assert "batch norm per chunk" in divided.derived["chunks"]
    assert divided.derived["processes"].startswith("4 x 2,048 images")


def test_chance_is_named_only_where_it_is_one_number() -> None:
    def derived(**settings: object) -> dict[str, str]:
        return make_plan(recipe(epochs=1.0).with_settings(**settings), images=50_000, step_s=1.0).derived

    assert derived(batch_size=8)["chance loss"] == "ln(2 x 8 - 1) = 2.708"
    assert derived(batch_size=8, loss="dcl")["chance loss"] == "ln(2 x 8 - 2) = 2.639"
    assert "chance loss" not in derived(loss="triplet")
    assert "chance loss" not in derived(loss="nt-logistic")
    assert derived(loss="triplet")["negatives"] == "2 x 512 - 2 = 1,022 for each view"
    assert derived(loss="triplet", semi_hard=True)["negatives"].endswith("of which the semi-hard count")
    assert derived(loss="dcl")["loss"] == "dense: 1,024 x 1,024 logits, in memory"
    assert derived(loss="dcl", batch_size=4096)["loss"].startswith("blocks: 8,192 x 8,192 logits, some rows at a time")
