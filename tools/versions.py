"""Run some of the tests with other versions: the oldest that are declared, torch 2.11, Python 3.13, the newest extras.

    python tools/versions.py [oldest] [torch211] [python313] [extras311] [extras313] [--folder FOLDER]

Builds an environment for each in FOLDER (some 6 GB each; they stay there for the next time) and runs the tests in it
that touch most of the libraries. The oldest versions are read from pyproject.toml. Takes 5 to 10 minutes each on two
cores. An environment whose Python is not on this machine is left out, and said.
"""

import argparse
import os
import re
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

ROOT = Path(__file__).parent.parent
PYTHONS = {"oldest": "3.11", "torch211": "3.12", "python313": "3.13", "extras311": "3.11", "extras313": "3.13"}
TESTS = [  # nothing beside a conftest.py: the oldest jaxtyping refuses it
    *(f"tests/distributed/test_{name}.py" for name in ("batch_norm", "failing", "launcher", "process", "rendezvous")),
    *(f"tests/training/test_{name}.py" for name in ("chunks", "graph", "health", "loop")),
    *(f"tests/{name}" for name in ("losses", "optim", "views", "models", "hardware", "test_pretend_cuda.py")),
    *("tests/data/sources/test_tables.py", "tests/programs/test_evaluate.py", "tests/cli/test_main.py"),
]
TESTS_OF_EXTRAS = [  # what a user installs by name: each with the library that it is for
    *(f"tests/data/test_{name}.py" for name in ("dicom", "decode", "corpus_pixels", "rasters")),
    *(f"tests/data/sources/test_{name}.py" for name in ("remote", "web", "pages", "slides", "tables")),
    *("tests/curation/test_search_index.py", "tests/curation/test_suspect_labels.py", "tests/programs/test_export.py"),
    *("tests/runs/test_weights.py", "tests/runs/test_metrics_log.py"),
]
OURS = ("dev", "bench", "all")  # of the optional dependencies; the others are for users


def requirements(name: str) -> list[str]:
    """What to install for an environment: the declared dependencies, at their minimum in the oldest one."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = [one for extra, parts in project["optional-dependencies"].items() if extra not in OURS for one in parts]
    wanted = [*project["dependencies"], *project["optional-dependencies"]["dev"]]
    wanted = [one for one in wanted if not one.startswith(("ruff", "mypy"))]
    if name == "oldest":
        return [one.replace(">=", "==") for one in wanted]
    if name == "torch211":
        return ["torch==2.11.*", *(one for one in wanted if not one.startswith("torch>="))]
    if name.startswith("extras"):
        return [*wanted, *extras, "cleanlab"]
    return [*wanted, *project["optional-dependencies"]["timm"]]


def interpreter(version: str) -> str | None:
    """A Python of that version which runs here."""
    installed = sorted(Path.home().glob(f".pyenv/versions/{version}.*/bin/python"))
    for candidate in (f"python{version}", *map(str, installed)):
        try:
            subprocess.run([candidate, "-c", "import venv"], check=True, capture_output=True)
        except (OSError, subprocess.CalledProcessError):
            continue
        return candidate
    return None


def build(name: str, python: str, folder: Path) -> Path:
    """The environment's interpreter, with everything in it."""
    inside = folder / name / "bin" / "python"
    if not inside.exists():
        subprocess.run([python, "-m", "venv", folder / name], check=True)
    install = [inside, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *requirements(name)]
    subprocess.run(install, check=True, stderr=subprocess.DEVNULL)
    return inside


def versions(python: Path, wanted: list[str]) -> str:
    """Which versions of Python and of what was asked for are there."""
    names = sorted({re.split("[<>=;\\[ ]", one)[0] for one in wanted}, key=str.lower)
    script = "import platform, sys; from importlib.metadata import version; print('Python', platform.python_version(),"
    script += " *(f'{one} {version(one)}' for one in sys.argv[1:]), sep=', ')"
    return subprocess.run([python, "-c", script, *names], check=True, capture_output=True, text=True).stdout.strip()


def run(name: str, folder: Path) -> bool:
    """Whether the tests pass there, or cannot be run on this machine."""
    python = interpreter(PYTHONS[name])
    if python is None:
        print(f"{name}: there is no Python {PYTHONS[name]} on this machine; left out", flush=True)
        return True
    inside = build(name, python, folder)
    print(f"{name}: {versions(inside, requirements(name))}", flush=True)
    environment = os.environ | {"PYTHONPATH": str(ROOT / "src"), "OMP_NUM_THREADS": "1"}
    command = [inside, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-n", "2", "--dist", "loadfile"]
    command += TESTS_OF_EXTRAS if name.startswith("extras") else TESTS
    done = subprocess.run(command, cwd=ROOT, env=environment, check=False)
    return done.returncode == 0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", choices=[[], *PYTHONS], help="all without any")
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()) / "twofold-versions")
    options = parser.parse_args()
    failed = [name for name in options.names or PYTHONS if not run(name, options.folder)]
    sys.exit(f"failed: {', '.join(failed)}" if failed else 0)


if __name__ == "__main__":
    main()
