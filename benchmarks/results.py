"""Where measurements are kept, and on what they were taken."""

import json
from datetime import date
from pathlib import Path
from typing import Any

import torch

from twofold.hardware.device import resolve_hardware
from twofold.recipes.recipe import HardwareRecipe

FOLDER = Path(__file__).parent / "results"
KNOWN = {"sign-digits": "the same persons' hands are in train and test, so figures say nothing of other persons"}


def machine() -> dict[str, Any]:
    return {
        **resolve_hardware(HardwareRecipe()).describe(),
        "torch": torch.__version__.split("+")[0],
        "date": date.today().isoformat(),
    }


def save(name: str, result: dict[str, Any]) -> None:
    FOLDER.mkdir(exist_ok=True)
    path = FOLDER / f"{name}.json"
    path.write_text(json.dumps(result, indent=1) + "\n")
    print(f"Written: {path}")


def load(name: str) -> dict[str, Any] | None:
    path = FOLDER / f"{name}.json"
    return json.loads(path.read_text()) if path.exists() else None


def known(data: str) -> list[str]:
    """What is known to make figures on a data set too high, besides what its own files show."""
    return [text for name, text in KNOWN.items() if data.startswith(name)]
