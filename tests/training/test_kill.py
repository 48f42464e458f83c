"""Kill -9 at random moments, some of them in the middle of writing a checkpoint: the run ends as if undisturbed."""

import json
import subprocess
import sys
from pathlib import Path

import safetensors.torch
import torch

from pictures import write_pictures

DRIVER = Path(__file__).parents[1] / "kill_driver.py"


def drive(data: Path, out: Path, cache: Path, random_kills: int, write_kills: int) -> int:
    """Run the driver; return how many children really were killed."""
    arguments = [str(x) for x in (data, out, cache, random_kills, write_kills)]
    result = subprocess.run([sys.executable, str(DRIVER), *arguments], capture_output=True, text=True, timeout=400)
    assert result.returncode == 0, result.stderr
    killed, code = result.stdout.strip().splitlines()[-1].split()
    assert code == "0", result.stderr
    return int(killed)


def test_killed_ten_times_ends_bit_identical(tmp_path: Path) -> None:
    data, cache = write_pictures(tmp_path / "data", per_class=40), tmp_path / "cache"
    assert drive(data, tmp_path / "calm", cache, 0, 0) == 0
    assert drive(data, tmp_path / "killed", cache, 5, 5) >= 8

    calm = safetensors.torch.load_file(tmp_path / "calm" / "encoder.safetensors")
    killed = safetensors.torch.load_file(tmp_path / "killed" / "encoder.safetensors")
    assert calm.keys() == killed.keys()
    assert all(torch.equal(calm[name], killed[name]) for name in calm)

    losses = [_losses(tmp_path / name) for name in ("calm", "killed")]
    assert losses[0].keys() == losses[1].keys(), "no line of metrics.jsonl is lost or doubled"
    assert losses[0][max(losses[0])] == losses[1][max(losses[1])]


def _losses(run: Path) -> dict[int, float]:
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    steps = [row["step"] for row in rows if "loss" in row]
    assert len(steps) == len(set(steps))
    return {row["step"]: row["loss"] for row in rows if "loss" in row}
