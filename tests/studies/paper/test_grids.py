"""What holds of every study's grid, at both scales, without training anything."""

import math
from collections import Counter, defaultdict

import pytest
import torch

from tiny_study import CELLS, SEEDS, TINY
from twofold.losses import contrast_accuracy
from twofold.recipes.loss import contrast_chance, learnt_accuracy
from twofold.recipes.recipe import Recipe
from twofold.studies import STUDIES
from twofold.studies.engine.cell import HALVED, PREMISE_SEEDS, Cell
from twofold.studies.engine.claim import judge
from twofold.studies.engine.grid import planned_cells
from twofold.studies.engine.measures import MEASURES
from twofold.studies.engine.results import Results
from twofold.studies.engine.scale import LAPTOP, LONGER, PAPER, Scale
from twofold.studies.engine.tuning import TUNING_SEED
from twofold.studies.paper.augmentations import NAMES, rivals, transformations
from twofold.views import build_policy

ALL = sorted(STUDIES)
SCALES = {"laptop": LAPTOP, "longer": LONGER, "paper": PAPER, "tiny": TINY}


def all_cells(name: str, scale: Scale, seeds: int = 3) -> list[Cell]:
    return planned_cells(STUDIES[name], scale, seeds, Results())


def test_there_are_the_ten_studies() -> None:
    assert list(STUDIES) == [
        "augmentations", "colour", "head", "layer", "loss", "temperature", "batch", "size", "labels", "duration",
    ]  # fmt: skip


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("name", ALL)
def test_cells_are_recipes_of_their_own(name: str, scale: str) -> None:
    cells = all_cells(name, SCALES[scale].of(name))
    assert len({cell.key for cell in cells}) == len(cells)
    assert all("/" not in cell.key for cell in cells), "a key is the name of a file"
    for cell in cells:
        assert cell.measure in MEASURES
        base = SCALES[scale].of(name).base
        recipe = base.with_settings(**cell.settings, seed=cell.seed)
        assert isinstance(recipe, Recipe)
        assert recipe.stored_px == base.stored_px, "all cells read one store"


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("name", ALL)
def test_panels_and_claims_speak_of_cells_that_there_are(name: str, scale: str) -> None:
    study, found, own = STUDIES[name], Results(), SCALES[scale].of(name)
    for cell in planned_cells(study, own, 3, found):
        assert found.has([cell])
    names = set(found.names("test"))
    panels, claims = study.panels(own, found), study.claims(own, found)
    assert {cell for panel in panels for cell, _ in panel.entries.values()} <= names
    compared = {cell for claim in claims for one in (*claim.comparisons, *claim.premises) for cell, _ in one.weights}
    assert compared <= names
    for cell in compared:
        assert len(found.seeds(cell, "top1")) == 3, f"a claim rests on {cell}, which needs an interval"
    assert all(claim.comparisons for claim in claims)
    if own.checked:
        for claim in claims:
            halves = {cell + HALVED for one in claim.comparisons for cell, _ in one.weights}
            assert halves <= names or not claim.settled, "twice the length is compared with this"
            own_cells = {cell for one in claim.premises for cell, _ in one.weights}
            assert all(len(found.seeds(cell, "top1", premise=True)) == PREMISE_SEEDS for cell in own_cells)


@pytest.mark.parametrize("name", ALL)
def test_every_claim_says_why_it_may_not_hold_here(name: str) -> None:
    for claim in STUDIES[name].claims(LAPTOP, Results()):
        assert claim.why_not.endswith(".")
        assert claim.paper


@pytest.mark.parametrize(("sure", "verdict"), [(0.2, "contradicted"), (100.0, "reproduced")])
def test_where_the_surest_is_the_best_contrastive_accuracy_does_predict(sure: float, verdict: str) -> None:
    found = Results()
    for cell in STUDIES["temperature"].cells(LAPTOP, 3, found):
        t = cell.settings["temperature"]
        values = {"top1": 0.6 - abs(math.log(t / 0.2)) / 10, "contrast_accuracy": 0.9 if t == sure else 0.4 + t / 1000}
        found.add(cell, {name: value + 0.001 * cell.seed for name, value in values.items()})
    last = STUDIES["temperature"].claims(LAPTOP, found)[-1]
    noisy = judge(last, found)
    assert noisy.verdict == verdict
    assert bool(noisy.why_not) == (verdict == "contradicted")


@pytest.mark.parametrize(("peak", "verdict"), [(0.05, "contradicted"), (0.2, "reproduced"), (1.0, "contradicted")])
def test_an_extreme_temperature_that_is_best_contradicts(peak: float, verdict: str) -> None:
    found = Results()
    for cell in STUDIES["temperature"].cells(LAPTOP, 3, found):
        distance = abs(math.log(cell.settings["temperature"] / peak))
        found.add(cell, {"top1": 0.6 - distance / 10 + 0.001 * cell.seed, "contrast_accuracy": 0.5})
    assert judge(STUDIES["temperature"].claims(LAPTOP, found)[1], found).verdict == verdict


@pytest.mark.parametrize(("peak", "edge"), [(0.1, ", at the edge of these"), (0.2, "")])
def test_the_temperature_that_is_chosen_is_noted_and_whether_it_is_at_an_edge(peak: float, edge: str) -> None:
    study, found = STUDIES["temperature"], Results()
    assert study.notes(LAPTOP, found) == []
    for cell in study.cells(LAPTOP, 3, found):
        found.add(cell, {"top1": 0.5 - 0.05 * abs(math.log(cell.settings["temperature"] / peak))})
    assert study.notes(LAPTOP, found) == [
        f"normalised, {peak:g}: the best of 3 temperatures between the extremes{edge}, chosen on selection"
    ]


def batch_verdicts(*, large_behind: tuple[float, float], sgd_drop: float, lars_drop: float) -> list[str]:
    """What the study of batches says where the largest batch is so far behind at the short and at the long length."""
    study, found = STUDIES["batch"], Results()
    for _ in range(2):
        for cell in study.cells(LAPTOP, 3, found):
            large = cell.settings["batch_size"] == LAPTOP.batch_sizes[-1]
            short = cell.settings["epochs"] == LAPTOP.lengths[0] * LAPTOP.epochs
            lag = (large_behind[0] if short else large_behind[1]) if cell.name.startswith("batch") else 0.0
            lag += {"SGD": sgd_drop, "LARS": lars_drop}.get(cell.name.split(",")[0], 0.0)
            noise = 0.001 * ((cell.seed + large) % 3)
            found.add(cell, {"top1": 0.5 - lag * large + noise})
    assert len(study.notes(LAPTOP, found)) == 2
    return [judge(claim, found).verdict for claim in study.claims(LAPTOP, found)]


def test_only_a_gap_that_is_there_can_close() -> None:
    wins, closes, _ = batch_verdicts(large_behind=(-0.06, -0.02), sgd_drop=0.1, lars_drop=0.0)
    assert (wins, closes) == ("reproduced", "reproduced")
    wins, closes, _ = batch_verdicts(large_behind=(0.06, 0.02), sgd_drop=0.1, lars_drop=0.0)
    assert (wins, closes) == ("contradicted", "not testable here")
    assert batch_verdicts(large_behind=(0.02, 0.08), sgd_drop=0.1, lars_drop=0.0)[1] == "not testable here"
    assert batch_verdicts(large_behind=(-0.02, -0.08), sgd_drop=0.1, lars_drop=0.0)[1] == "contradicted"


@pytest.mark.parametrize(
    ("supervised", "verdict"),
    [((0.1, 0.02), "reproduced"), ((0.1, 0.2), "contradicted"), ((-0.02, -0.1), "not testable here")],
)
def test_only_a_gap_to_supervised_that_is_there_can_shrink(supervised: tuple[float, float], verdict: str) -> None:
    study, found = STUDIES["size"], Results()
    while not found.has(cells := study.cells(LAPTOP, 3, found)):
        for cell in cells:
            ahead = supervised["x 1" in cell.name] if cell.name.startswith("supervised") else 0.0
            found.add(cell, {"top1": 0.5 + ahead + 0.001 * (cell.seed if "x 1" in cell.name else -cell.seed)})
    assert judge(study.claims(LAPTOP, found)[-1], found).verdict == verdict


@pytest.mark.parametrize("name", ["temperature", "batch"])
def test_no_encoder_is_both_chosen_by_and_judged(name: str) -> None:
    """The best temperature, the best rate is chosen on an encoder of a seed that no final cell has."""
    cells = all_cells(name, LAPTOP)
    chosen_by, judged = ({cell.seed for cell in cells if cell.on == on} for on in ("selection", "test"))
    assert judged == {0, 1, 2}
    assert chosen_by == {TUNING_SEED}


def test_every_size_is_trained_with_labels_at_its_own_best_rate() -> None:
    study, found = STUDIES["size"], Results()
    best = dict(zip(LAPTOP.encoders, (0.4, 0.1, 1.6, 0.025), strict=True))
    while not found.has(cells := study.cells(LAPTOP, 3, found)):
        for cell in cells:
            rate = cell.options.get("base_lr", 1.0)
            far = abs(math.log(rate / next(one for name, one in best.items() if name == cell.name.split(", ")[1])))
            found.add(cell, {"top1": 0.5 - far / 100})
    final = {cell.name: cell.options for cell in cells if cell.on == "test"}
    assert {name: final[f"supervised, {name}"] for name in best} == {n: {"base_lr": rate} for n, rate in best.items()}
    assert not any(final[f"contrastive, {name}"] for name in best)
    for note, (name, rate) in zip(study.notes(LAPTOP, found), best.items(), strict=True):
        assert note.startswith(f"supervised, {name}: rate {rate:g}, ")


@pytest.mark.parametrize(("sgd_drop", "lars_drop", "verdict"), [(0.1, 0, "reproduced"), (0, 0.1, "contradicted")])
def test_lars_holds_only_where_sgd_does_not(sgd_drop: float, lars_drop: float, verdict: str) -> None:
    assert batch_verdicts(large_behind=(0.0, 0.0), sgd_drop=sgd_drop, lars_drop=lars_drop)[2] == verdict
    assert batch_verdicts(large_behind=(0.0, 0.0), sgd_drop=0.1, lars_drop=0.1)[2] == "undecided"


def test_each_loss_gets_what_is_best_for_it() -> None:
    study, found, count = STUDIES["loss"], Results(), 0
    assert study.notes(LAPTOP, found) == []
    while len(cells := study.cells(LAPTOP, 1, found)) > count:
        count = len(cells)
        for cell in cells:
            peaks = {"base_lr": 5.4 if cell.settings["loss"] == "triplet" else 0.2, "temperature": 0.05, "margin": 0.8}
            away = [abs(math.log(cell.settings[name] / peaks[name])) for name in peaks if name in cell.settings]
            found.add(cell, {"top1": 0.9 - sum(away) / 100})
    notes = study.notes(LAPTOP, found)
    assert len(notes) == 5
    assert notes[0] == "NT-Xent: rate 0.2, temperature 0.05, the best of 14, chosen on selection after 1 epochs"
    final = {cell.name: cell.settings for cell in cells if cell.on == "test"}
    assert final["margin"] == {"loss": "triplet", "base_lr": 5.4, "margin": 0.8}
    assert final["NT-Xent"] == {"loss": "nt-xent", "base_lr": 0.2, "temperature": 0.05}
    assert {name: settings["loss"] for name, settings in final.items()} == {
        "NT-Xent": "nt-xent",
        "NT-Logistic": "nt-logistic",
        "margin": "triplet",
        "NT-Logistic, semi-hard": "nt-logistic",
        "margin, semi-hard": "triplet",
    }


@pytest.mark.parametrize(("best", "tried"), [(0.05, 3), (0.2, 4), (0.8, 5), (1e9, 6), (0.0125, 4), (0.0, 6)])
def test_rates_go_on_while_the_last_is_the_best(best: float, tried: int) -> None:
    study, found, count = STUDIES["labels"], Results(), 0
    while len(cells := study.cells(LAPTOP, 1, found)) > count:
        count = len(cells)
        for cell in cells:
            rate = cell.options["base_lr"]
            found.add(cell, {"top1": 0.9 - abs(math.log(rate / best if best else rate * 1e9)) / 100})
    tuning = [c for c in cells if c.on == "selection" and c.name.startswith("fine-tuned, 1 %")]
    assert len(tuning) == tried
    final = next(c for c in cells if c.name == "fine-tuned, 1 %" and c.on == "test")
    nearest = min((c.options["base_lr"] for c in tuning), key=lambda rate: abs(math.log(rate / (best or 1e-9))))
    assert final.options["base_lr"] == nearest
    assert len(study.notes(LAPTOP, found)) == 4


@pytest.mark.parametrize("name", ALL)
def test_an_empty_study_has_claims_that_are_undecided(name: str) -> None:
    study = STUDIES[name]
    assert {judge(claim, Results()).verdict for claim in study.claims(LAPTOP, Results())} == {"undecided"}
    assert study.panels(LAPTOP, Results())


@pytest.mark.parametrize("name", ALL)
def test_the_number_of_cells_is_what_the_axes_say(name: str) -> None:
    assert len(all_cells(name, TINY, SEEDS)) == CELLS[name]


@pytest.mark.parametrize("name", ALL)
def test_what_is_chosen_is_chosen_on_selection(name: str) -> None:
    """A study looks at nothing on test before its grid is complete but for the rivals of a pair."""
    study = STUDIES[name]
    first = study.cells(LAPTOP, 3, Results())
    found = Results()
    for cell in first:
        if cell.on == "test" and name != "augmentations":
            found.add(cell, defaultdict(float))
    assert len(study.cells(LAPTOP, 3, found)) == len(first)


def names(*pairs: str) -> set[str]:
    return {name for pair in pairs for name in (pair, "+".join(reversed(pair.split("+"))))}


def test_the_rivals_of_crop_with_colour_get_all_seeds() -> None:
    found = Results()
    for place, cell in enumerate(STUDIES["augmentations"].cells(LAPTOP, 1, Results())):
        strong = cell.name in names("blur+rotate", "cutout+noise") | {"colour+sobel"}
        ours = cell.name in names("crop+colour")
        found.add(cell, {"top1": 0.9 if ours else 0.5 if strong else 0.001 * place, "contrast_accuracy": 0.9})
    pairs = {pair[0] for pair in rivals(LAPTOP, found)}
    assert pairs == {("cutout", "noise"), ("blur", "rotate"), ("colour", "sobel")}
    seeds = Counter(cell.name for cell in STUDIES["augmentations"].cells(LAPTOP, 3, found))
    thrice = {name for name, count in seeds.items() if count == 3}
    also = names("crop+colour", "crop+sobel", "cutout+noise", "blur+rotate", "colour+sobel")
    assert thrice == {*NAMES} | also
    assert len(seeds) == 49


@pytest.mark.parametrize("batch_size", [64, 256])
def test_learnt_is_above_five_times_the_chance_among_the_second_views(batch_size: int) -> None:
    """Chance is what z without any meaning finds: 1 in B, not 1 in 2B - 1."""
    generator = torch.Generator().manual_seed(0)
    pairs = torch.randn(400, 2, batch_size, 8, generator=generator)
    by_chance = sum(contrast_accuracy(a, b).item() for a, b in pairs) / len(pairs)
    assert contrast_chance(batch_size) == pytest.approx(by_chance, rel=4 / len(pairs) ** 0.5)
    assert learnt_accuracy(batch_size) == pytest.approx(5 / batch_size)


def test_the_augmentations_act_on_one_branch_alone() -> None:
    assert tuple(transformations(LAPTOP)) == NAMES
    for cell in STUDIES["augmentations"].cells(LAPTOP, 1, Results()):
        policy = build_policy(LAPTOP.base.with_settings(**cell.settings).views)
        assert [op.branch for op in policy] == ["shared"] + ["b"] * (len(policy) - 1)
        assert policy[0].name == "crop"


def test_where_every_side_is_tuned_each_has_a_rate_that_three_encoders_chose() -> None:
    tuned = {"temperature": "normalised, 0.1", "size": "contrastive, ResNet-10 x 1", "batch": "batch 32"}
    for name, start in tuned.items():
        own = LONGER.of(name)
        selection = [cell for cell in all_cells(name, own) if cell.on == "selection"]
        trying = [cell for cell in selection if cell.name.startswith(f"{start}, rate")]
        assert {cell.seed for cell in trying} == {TUNING_SEED, TUNING_SEED + 1, TUNING_SEED + 2}
        assert len({cell.settings["base_lr"] for cell in trying}) >= len(own.tuning["base_lr"])


def test_the_shortest_training_at_the_largest_tuned_batch_has_enough_steps() -> None:
    own = LONGER.of("batch")
    assert own.lengths[0] * own.epochs * 50_000 / own.batch_sizes[-1] >= 1500
