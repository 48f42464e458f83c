"""What pip installs: every package that is imported is declared, and a missing extra is named with its pip line."""

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from twofold.errors import TwofoldError, import_extra
from twofold.programs.study import study

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
EXTRAS: dict[str, list[str]] = PROJECT["optional-dependencies"]
NAMES = {  # of packages whose import has another name
    "PIL": "pillow",
    "sklearn": "scikit-learn",
    "markupsafe": "jinja2",  # its own strings
}
FOR_USERS = [extra for extra in EXTRAS if extra not in ("all", "bench", "dev")]


def packages(requirements: list[str]) -> set[str]:
    return {re.split(r"[><=!~\[; ]", one)[0].lower() for one in requirements}


def imports(text: str, *, whole_file: bool) -> set[str]:
    """Third-party packages that a module imports: anywhere, or as soon as it is imported."""
    tree = ast.parse(text)
    names = _imported(tree, whole_file)
    return {NAMES.get(name, name).lower().replace("_", "-") for name in names if name not in _KNOWN}


_KNOWN = {*sys.stdlib_module_names, "twofold"}


def _imported(node: ast.AST, whole_file: bool) -> Iterator[str]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import):
            yield from (alias.name.split(".")[0] for alias in child.names)
        elif isinstance(child, ast.ImportFrom) and child.module:
            yield child.module.split(".")[0]
        elif whole_file or not isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
            yield from _imported(child, whole_file)


def sources() -> dict[str, str]:
    return {str(path.relative_to(ROOT)): path.read_text(encoding="utf-8") for path in (ROOT / "src").rglob("*.py")}


def undeclared(texts: dict[str, str]) -> dict[str, set[str]]:
    """What a module imports and nobody declared, or imports at once and an extra alone declares."""
    always = packages(PROJECT["dependencies"])
    known = always.union(*(packages(EXTRAS[extra]) for extra in FOR_USERS))
    wrong = {
        name: (imports(text, whole_file=True) - known) | (imports(text, whole_file=False) - always)
        for name, text in texts.items()
    }
    return {name: found for name, found in wrong.items() if found}


def test_every_package_that_is_imported_is_declared() -> None:
    assert undeclared(sources()) == {}


@pytest.mark.parametrize("line", ["import tensorflow", "def f():\n    import tensorflow", "import matplotlib.style"])
def test_one_that_is_not_is_seen(line: str) -> None:
    assert undeclared({"made_up.py": line})


def test_every_package_that_is_declared_is_imported() -> None:
    used = set[str]().union(*(imports(text, whole_file=True) for text in sources().values()))
    assert packages(PROJECT["dependencies"]) <= used


OWN_LOOP = """
import sys
import torch
sys.modules.update(dict.fromkeys(sys.argv[1:]))  # from here on, importing one of them fails
import twofold
import twofold.training.loop

policy, draw = twofold.Recipe().with_settings(size_px=8, policy="small").views, torch.Generator().manual_seed(0)
encoder = twofold.ResNet(10, channels=3, stem="small", stages=1, width=0.25)
model = twofold.SimCLR(encoder, twofold.ProjectionHead(encoder.dim, z_dim=4))
optimizer = twofold.LARS(model, lr=0.1)
views = twofold.TwoViews(policy)(torch.randint(0, 256, (4, 3, 12, 12), generator=draw, dtype=torch.uint8))
loss = twofold.nt_xent(*model(views)[1].chunk(2), temperature=0.5)
loss.backward()
optimizer.step()
print(loss.isfinite().item())
"""
AT_MOST = 12


def beyond_the_loss() -> list[str]:
    """The modules of the packages that evaluations and reports alone need."""
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    dependencies = re.search(r"^dependencies = \[(.*?)^\]", text, re.MULTILINE | re.DOTALL)
    assert dependencies is not None
    _, hard, beyond = re.split(r"^ *#.*\n", dependencies[1], flags=re.MULTILINE)
    assert 0 < hard.count("\n") <= AT_MOST
    modules = {package: module for module, package in NAMES.items()}
    return [modules.get(package, package) for package in packages(re.findall(r'"(.+?)"', beyond))]


def own_loop(hidden: list[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", OWN_LOOP, *hidden], capture_output=True, text=True, check=False)


def test_who_wants_the_loss_needs_twelve_packages_at_most() -> None:
    assert "sklearn" in beyond_the_loss()
    done = own_loop(beyond_the_loss())
    assert done.stdout == "True\n", done.stderr


def test_a_package_that_the_loss_needs_is_missed() -> None:
    assert "jaxtyping" in own_loop(["jaxtyping"]).stderr


def test_all_holds_every_extra_for_users() -> None:
    assert EXTRAS["all"] == [f"twofold[{','.join(FOR_USERS)}]"]


def test_a_missing_package_of_an_extra_is_one_line_with_its_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(TwofoldError) as raised:
        import_extra("timm", "the encoder 'timm:vit'", "timm")
    expected = "the encoder 'timm:vit' needs timm, which is not installed. Run: pip install 'twofold[timm]'"
    assert str(raised.value) == expected


def test_a_study_without_matplotlib_says_so_before_it_measures(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(TwofoldError, match=r"needs matplotlib, .* pip install 'twofold\[studies\]'"):
        study("temperature", data=tmp_path, out=tmp_path / "study")
    assert not (tmp_path / "study").exists()
