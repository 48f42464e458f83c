"""Where measurements are kept, and on what they were taken."""

import json
from datetime import date
from pathlib import Path
from typing import Any

import torch

from twofold.hardware.device import resolve_hardware
from twofold.recipes.recipe import HardwareRecipe

FOLDER = Path(__file__).parent / "results"


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
