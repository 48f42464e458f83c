"""docs/reference.md can be cited: what the source cites is there, and what it names exists."""

import re
from pathlib import Path

import numpy as np
import pytest
import torch

from twofold.cli import main as cli
from twofold.models import ResNet
from twofold.models.head import build_head
from twofold.recipes.named import describe_recipes
from twofold.recipes.named.cifar10_resnet18 import RECIPE as CIFAR10_RESNET18
from twofold.recipes.named.imagenet_resnet50 import RECIPE as IMAGENET_RESNET50
from twofold.recipes.recipe import HeadRecipe, setting_owners
from twofold.training.plan import make_plan
from twofold.views.boxes import central_boxes

HOME = Path(__file__).parents[1]
REFERENCE = (HOME / "docs" / "reference.md").read_text(encoding="utf-8")
HEADINGS = set(re.findall(r"^#+ (\d+(?:\.\d+)?)\.? \S", REFERENCE, re.MULTILINE))
ROWS = re.findall(r"^\| (D\d+) \|(.*)\|$", REFERENCE, re.MULTILINE)
_NUMBER = r"\d+(?:\.\d+)?"
_CITED = re.compile(rf"reference(?:\.md,|\.md\),)? (?:part |section )?({_NUMBER}(?:(?:, | and ){_NUMBER}\b)*)")
SOURCES = sorted(
    path
    for folder, ending in (("src", "*.py"), ("tests", "*.py"), ("benchmarks", "*.py"), ("docs", "*.md"))
    for path in (HOME / folder).rglob(ending)
)


def cited(text: str) -> set[str]:
    return {number for found in _CITED.findall(text) for number in re.findall(_NUMBER, found)}


def test_every_section_that_is_cited_is_there() -> None:
    citations = {path.relative_to(HOME): cited(path.read_text(encoding="utf-8")) for path in SOURCES}
    assert sum(bool(numbers) for path, numbers in citations.items() if path.parts[0] == "src") > 15
    assert {path: numbers - HEADINGS for path, numbers in citations.items() if numbers - HEADINGS} == {}


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("(paper, appendix A; reference 1.1 and 1.3).", {"1.1", "1.3"}),
        ("docs/reference.md, 7.", {"7"}),
        ("([reference.md](reference.md), 3.3)", {"3.3"}),
        ("Source: reference 2.\n", {"2"}),
        ("with a reference to 3 things", set()),
    ],
)
def test_citations_are_found_in_the_ways_they_are_written(text: str, numbers: set[str]) -> None:
    assert cited(text) == numbers


def test_sections_and_rows_that_the_page_names_itself_are_there() -> None:
    named = set(re.findall(rf"[Ss]ections?\s({_NUMBER})", REFERENCE))
    assert named >= {"3.3", "7"}
    assert named <= HEADINGS
    names = [name for name, _ in ROWS]
    assert names == [f"D{number}" for number in range(1, len(names) + 1)]
    assert set(re.findall(r"\bD\d+\b", REFERENCE)) <= set(names)


def test_each_row_says_what_is_official_what_is_here_what_follows_and_what_to_do() -> None:
    for name, cells in ROWS:
        parts = [part.strip() for part in cells.split("|")]
        assert len(parts) == 5, name
        assert all(parts), name


def test_every_flag_that_the_page_names_exists() -> None:
    flags = set(re.findall(r"`(--[a-z0-9-]+)", REFERENCE)) | set(re.findall(r" (--[a-z0-9-]+)(?=[ `])", REFERENCE))
    arguments = {name for value in vars(cli).values() for name in getattr(value, "__annotations__", {})}
    known = {f"--{name.replace('_', '-')}" for name in {*setting_owners(), *arguments}}
    assert len(flags) > 15
    assert flags <= known


def test_files_of_the_source_that_the_page_names_exist() -> None:
    paths = re.findall(r"`(src/[\w/.]+)`", REFERENCE)
    assert paths
    assert [path for path in paths if not (HOME / path).exists()] == []


def test_figures_of_the_page_are_those_of_the_code() -> None:
    heads = [build_head(HeadRecipe(head_layers=layers), dim=2048) for layers in (2, 3)]
    trained = [sum(w.numel() for w in head.parameters() if w.requires_grad) for head in heads]
    assert f"{trained[0]:,} and {trained[1]:,} trainable" in " ".join(REFERENCE.split())
    small = sum(w.numel() for w in ResNet(18, stem="small").parameters())
    assert f"has {small:,} parameters here, {small + 64 * 64 + 2 * 64:,} officially" in REFERENCE
    for recipe, images in ((IMAGENET_RESNET50, 1_281_167), (CIFAR10_RESNET18, 50_000)):
        plan = make_plan(recipe, images=images, step_s=1.0)
        official = 10 * images // recipe.schedule.batch_size  # of 10 epochs
        assert f"({plan.warmup_steps:,} steps)" in REFERENCE
        assert f"({official:,} steps)" in REFERENCE
        assert abs(plan.warmup_steps - official) <= 1


def test_the_central_crop_differs_from_the_official_one_as_often_as_the_page_says() -> None:
    other = []
    for size in range(33, 600):
        side = int(np.rint(np.float32(0.875) * np.float32(size)))
        top, left, height, width = central_boxes(torch.tensor([[size, size]]), 0.875)[0].tolist()
        assert (height, width) == (side, side)
        official = (size - side + 1) // 2
        assert top == left
        assert top - official in (0, -1)
        other += [size] * (top != official)
    assert f"{len(other)} of the 567 sizes from 33 to 599 px" in REFERENCE


@pytest.mark.parametrize("page", ["README.md", "docs/architecture.md"])
def test_a_reader_finds_the_page(page: str) -> None:
    assert "reference.md)" in (HOME / page).read_text(encoding="utf-8")


def test_the_recipes_that_follow_the_official_code_point_to_it_and_take_its_step() -> None:
    for name, recipe in (("imagenet-resnet50", IMAGENET_RESNET50), ("cifar10-resnet18", CIFAR10_RESNET18)):
        assert "docs/reference.md, 7" in describe_recipes()[name]
        assert recipe.loss.loss_factor == 2
        assert f"`{name}`" in REFERENCE
