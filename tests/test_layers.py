"""The arrows of the architecture: imports point one way, and torch.distributed stays in its folder."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import twofold

ROOT = Path(twofold.__file__).parent
LAYERS = [  # each may import what stands above it here, and what stands beside it
    {"errors", "versions", "files", "console"},
    {"recipes"},
    {"views", "losses"},
    {"distributed", "hardware", "data", "models", "optim"},
    {"runs"},
    {"training", "speed", "evaluation", "curation"},
    {"studies", "report"},
    {"programs"},
    {"cli", "__main__"},
]
RANK = {name: rank for rank, layer in enumerate(LAYERS) for name in layer}
PRETRAINING = {"training", "speed"}
MEASURING = {"evaluation", "curation"}


def modules() -> list[Path]:
    return sorted(ROOT.rglob("*.py"))


def part(path: Path) -> str:
    """The top-level part a file belongs to: data/store.py -> data."""
    first = path.relative_to(ROOT).parts[0]
    return first.removesuffix(".py")


def imported(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            yield node.module or ""
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def violations(source: str, home: str) -> list[str]:
    """What a file of part `home` imports although it may not."""
    found = []
    for name in imported(ast.parse(source)):
        pieces = name.split(".")
        if name.startswith("torch.distributed") and home != "distributed":
            found.append(f"{home} imports {name}")
        if pieces[0] != "twofold" or len(pieces) < 2 or pieces[1] not in RANK or pieces[1] == home:
            continue
        upward = RANK[pieces[1]] > RANK[home]
        across = {home, pieces[1]} & PRETRAINING and {home, pieces[1]} & MEASURING
        if upward or across:
            found.append(f"{home} imports {name}")
    return found


def test_every_part_has_a_layer() -> None:
    parts = {part(path) for path in modules()} - {"__init__"}
    assert parts == set(RANK)


def test_the_root_holds_only_the_ground() -> None:
    names = {path.name for path in ROOT.glob("*") if path.is_file()}
    assert names == {"__init__.py", "__main__.py", "errors.py", "files.py", "console.py", "versions.py", "py.typed"}


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_point_one_way(path: Path) -> None:
    home = part(path)
    if home == "__init__":
        return  # imports nothing at run time: see test_public
    assert violations(path.read_text(), home) == []


@pytest.mark.parametrize(
    ("source", "home"),
    [
        ("from twofold.training.loop import pretrain", "views"),
        ("import twofold.evaluation", "training"),
        ("from twofold.training.step import train_step", "evaluation"),
        ("from twofold.training.step import train_step", "curation"),
        ("import torch.distributed as dist", "hardware"),
        ("from torch import distributed", "training"),
        ("from twofold import cli", "report"),
    ],
)
def test_a_wrong_arrow_is_seen(source: str, home: str) -> None:
    assert violations(source, home)


def file_edges() -> dict[str, set[str]]:
    """Each module -> the modules it imports; `from package import module` counts as the module alone."""
    dotted = {".".join(("twofold", *p.relative_to(ROOT).with_suffix("").parts)): p for p in modules()}
    names = {name.removesuffix(".__init__"): path for name, path in dotted.items()}
    edges: dict[str, set[str]] = {}
    for name, path in names.items():
        edges[name] = set()
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                edges[name] |= {alias.name for alias in node.names if alias.name in names}
            elif isinstance(node, ast.ImportFrom) and node.module in names:
                for alias in node.names:
                    inner = f"{node.module}.{alias.name}"
                    edges[name].add(inner if inner in names else str(node.module))
    edges["twofold"] = set()  # its names are loaded when they are first used
    return edges


def cycle(edges: dict[str, set[str]]) -> list[str]:
    """The modules on one cycle, or nothing."""
    done: set[str] = set()

    def visit(name: str, trail: list[str]) -> list[str]:
        if name in trail:
            return trail[trail.index(name) :]
        if name not in done:
            for other in sorted(edges[name]):
                if found := visit(other, [*trail, name]):
                    return found
            done.add(name)
        return []

    return next((found for name in edges if (found := visit(name, []))), [])


def test_there_is_no_cycle_between_files() -> None:
    assert cycle(file_edges()) == []


def test_a_cycle_is_seen() -> None:
    edges = file_edges()
    edges["twofold.errors"].add("twofold.cli.main")
    assert "twofold.errors" in cycle(edges)


def test_files_stay_short() -> None:
    long = {str(p.relative_to(ROOT)): n for p in modules() if (n := len(p.read_text().splitlines())) > 320}
    assert long == {}


def test_the_training_step_fits_one_screen() -> None:
    tree = ast.parse((ROOT / "training/step.py").read_text())
    parts = {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef)}
    step, rest = parts["train_step"], parts["learn"]
    assert rest.end_lineno is not None
    assert rest.end_lineno - step.lineno < 66
    for part in (step, rest):
        assert not [node for node in ast.walk(part) if isinstance(node, ast.If | ast.IfExp)], "no branch on hardware"
