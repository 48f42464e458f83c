"""The command line as a person meets it: what it answers to mistakes, and one whole trip on small images."""

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import safetensors.torch
import torch
from PIL import Image

from pictures import write_pictures
from twofold.cli import main as cli

SMALL = "--size-px 16 --encoder resnet10 --stages 2 --width 0.25 --stem strided --device cpu --batch-size 16 --epochs 2"


def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, command: str) -> tuple[object, str, str]:
    """Exit code (None: success), stdout, stderr of one command, as `main` would leave them."""
    monkeypatch.setattr(sys, "argv", ["twofold", *command.split()])
    code: object = None
    try:
        cli.main()
    except SystemExit as stop:
        code = stop.code
    captured = capsys.readouterr()
    return code, captured.out, captured.err


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_pictures(tmp_path_factory.mktemp("data") / "pictures", per_class=30, splits=("train", "test"))


@pytest.fixture(autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TWOFOLD_CACHE", str(tmp_path_factory.getbasetemp() / "cache"))


def test_pretrain_evaluate_embed_report(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "run"
    code, said, _ = run(capsys, monkeypatch, f"pretrain {data} --out {out} {SMALL}")
    assert code is None
    assert "180 images, 90 to train on" in said
    assert "0.2 x 16/256" in said
    assert str(out / "report.html") in said.replace("\n", "")
    assert (out / "encoder.safetensors").is_file()

    code, said, _ = run(capsys, monkeypatch, f"evaluate {out} --data {data} --seeds 2 --few-seeds 3 --shots 1 5")
    assert code is None
    rows = json.loads((out / "evaluation.json").read_text())
    seen = {(row["protocol"], row["encoder"], row["labels"], row["metric"]) for row in rows}
    for protocol in ("knn", "linear"):
        for encoder in ("trained", "untrained", "pixels"):
            for labels in ("all", 1, 5):
                assert {(protocol, encoder, labels, metric) for metric in ("top1", "mean_per_class")} <= seen
    assert all((-1.0 if row["metric"] == "overconfidence" else 0.0) <= row["mean"] <= 1.0 for row in rows)
    assert "report.html" in said

    code, _, _ = run(capsys, monkeypatch, f"embed {out} {data} --out {tmp_path / 'h.parquet'}")
    assert code is None
    table = pq.read_table(tmp_path / "h.parquet")
    assert table.column_names == ["path", "label", "embedding"]
    assert table.num_rows == 180
    assert "run/report.html" in run(capsys, monkeypatch, f"report {out}")[1].replace("\n", "")


def test_the_saved_recipe_runs_again(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    assert run(capsys, monkeypatch, f"pretrain {data} --out {first} {SMALL}")[0] is None
    assert run(capsys, monkeypatch, f"pretrain {data} --out {second} --recipe {first / 'recipe.json'}")[0] is None
    a, b = (safetensors.torch.load_file(run / "encoder.safetensors") for run in (first, second))
    assert a.keys() == b.keys()
    assert all(torch.equal(a[name], b[name]) for name in a)


def test_broken_files_are_listed_and_do_not_stop_the_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    data = write_pictures(tmp_path / "pictures", per_class=26)
    whole = next((data / "bars").iterdir()).read_bytes()
    (data / "bars" / "empty.png").write_bytes(b"")
    (data / "bars" / "cut.png").write_bytes(whole[: len(whole) // 2])
    (data / "discs" / "text.jpg").write_text("this is no image")
    Image.new("1", (30_000, 30_000)).save(data / "discs" / "absurd.png")
    out = tmp_path / "run"
    code, said, _ = run(capsys, monkeypatch, f"pretrain {data} --out {out} {SMALL}")
    assert code is None
    assert "4 unreadable" in said
    listed = [json.loads(line) for line in (out / "quarantine.jsonl").read_text().splitlines()]
    assert {Path(row["path"]).name for row in listed} == {"empty.png", "cut.png", "text.jpg", "absurd.png"}
    assert all(row["reason"] for row in listed)


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("pretrain {tmp}/missing --out {tmp}/run", ["missing"]),
        ("pretrain {tmp}/empty --out {tmp}/run", ["empty", "image"]),
        ("pretrain {tmp}/one --out {tmp}/run", ["1 readable training image"]),
        ("pretrain {data} --out {tmp}/run --batch-size 4096 --epochs 1", ["batch_size is 4096", "90"]),
        ("pretrain {data} --out {tmp}/run --bach-size 16", ["--bach-size", "--batch-size"]),
        ("pretrain {data} --epohcs 3", ["'twofold pretrain' has no option --epohcs; did you mean --epochs? See"]),
        ("evalaute {tmp}/one", ["unknown command 'evalaute'; did you mean 'evaluate'? Choose one of: pretrain, "]),
        ("evaluate {tmp}/one --data {data} --zzz=1", ["has no option --zzz. See 'twofold evaluate -h'."]),
        ("pretrain {data} --out {tmp}/run --recipe photoes", ["photoes", "did you mean 'photos'"]),
        ("pretrain {data} --out {tmp}/run --encoder resnet81", ["resnet81", "did you mean 'resnet18'"]),
        ("pretrain {data} --out {tmp}/run --encoder torchvision:resnet81", ["resnet81"]),
        ("pretrain {data} --out {tmp}/run --temperature warm", ["--temperature", "warm"]),
        ("pretrain {data} --out {tmp}/run --epochs 1 --minutes 1", ["epochs", "minutes"]),
        ("pretrain {data} --out {tmp}/afile/run", ["--out"]),
        ("pretrain {data} --out {tmp}/one", ["holds other files"]),
        ("pretrain {data}", ["--out"]),
        ("pretrain {data} --vertical-flip", ["Missing", "--out"]),
        ("pick {data} --no-simulate", ["Missing"]),
        ("pretrian {data}", ["pretrian"]),
        ("evaluate {tmp}/missing --data {data}", ["is not a run"]),
        ("embed {tmp}/missing {data} --out x.parquet", ["is not a run"]),
        ("report {tmp}/missing", ["is not a run"]),
    ],
)
def test_a_mistake_is_one_clear_line(
    data: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    command: str,
    words: list[str],
) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "afile").write_text("")
    (tmp_path / "one").mkdir()
    Image.new("RGB", (20, 20)).save(tmp_path / "one" / "only.png")
    code, _, _ = run(capsys, monkeypatch, command.format(tmp=tmp_path, data=data))
    assert isinstance(code, str), "sys.exit with a text prints it on stderr and exits with 1"
    assert "\n" not in code
    for word in words:
        assert word in code
    assert not (tmp_path / "run" / "recipe.json").exists()


def test_an_unknown_option_brings_up_no_other_command(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for command in ("pretrain x --epohcs 3 --out y", "clean x y --treshold 1", "search x y --querry=a"):
        code, _, _ = run(capsys, monkeypatch, command)
        name = command.split()[0]
        assert set(re.findall(r"twofold (\w+)", str(code))) == {name}


def test_the_whole_program_says_it_on_stderr_without_a_traceback(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "twofold", "pretrain", str(tmp_path / "no"), "--out", str(tmp_path / "run")]
    result = subprocess.run(command, capture_output=True, text=True)
    assert result.returncode == 1
    assert result.stdout == ""
    assert len(result.stderr.strip().splitlines()) == 1
    assert "Traceback" not in result.stderr


def test_without_a_command_there_is_help(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    code, said, _ = run(capsys, monkeypatch, "")
    assert code in (0, None)
    assert all(command in said for command in cli.COMMANDS)


def test_help_does_not_wait_for_torch() -> None:
    code = """
import sys
from twofold.cli.main import main
sys.argv = ["twofold", "--help"]
try:
    main()
except SystemExit:
    assert "torch" not in sys.modules
"""
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    assert "pretrain" in result.stdout


def test_recipes_are_listed(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    _, said, _ = run(capsys, monkeypatch, "recipes")
    for name in ("photos", "fashion-demo", "cifar10-laptop", "cifar10-resnet18", "imagenet-resnet50"):
        assert name in said


def test_bench_says_what_to_run(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("twofold.speed.sweep._MATRIX", {"cpu": 256})
    out = tmp_path / "bench.json"
    flags = SMALL.replace(" --batch-size 16", "")
    code, said, _ = run(capsys, monkeypatch, f"bench {data} --out {out} --seconds 1 {flags}")
    assert code is None
    assert "Recommended" in said
    assert "* resnet10 x 0.25" in said
    assert json.loads(out.read_text())["choice"]["images_per_s"] > 0


def test_bench_repeats_what_it_was_asked_with(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("twofold.speed.sweep._MATRIX", {"cpu": 256})
    spaced = tmp_path / "my photos"
    spaced.symlink_to(data)
    command = f"bench '{spaced}' --out {tmp_path / 'b.json'} --seconds 1 --size-px 16 --crop-area 0.3 1 --stages 1"
    monkeypatch.setattr(sys, "argv", ["twofold", *shlex.split(command)])
    cli.main()
    (command,) = [line.strip() for line in capsys.readouterr().out.splitlines() if "pretrain" in line]
    words = shlex.split(command)
    assert words[2] == str(spaced)
    assert "--size-px 16" in command
    assert "--crop-area 0.3 1.0" in command
    assert words.count("--batch-size") == 1


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried"),
        RuntimeError("can't allocate memory: 9"),
        RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling cublasCreate"),
        MemoryError("Unable to allocate 9 GiB"),
    ],
)
def test_too_little_memory_is_one_line(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr("twofold.programs.pretrain.pretrain", fail)
    monkeypatch.setattr(sys, "argv", ["twofold", "pretrain", "photos", "--out", "run"])
    with pytest.raises(SystemExit) as stop:
        cli.main()
    assert str(error) in str(stop.value)
    assert "--chunk" in str(stop.value)


def test_a_fault_of_our_own_keeps_its_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("a fault")

    monkeypatch.setattr("twofold.programs.pretrain.pretrain", fail)
    monkeypatch.setattr(sys, "argv", ["twofold", "pretrain", "photos", "--out", "run"])
    with pytest.raises(RuntimeError, match="a fault"):
        cli.main()


def test_profile_says_where_the_time_goes_and_changes_no_weight(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    plain, profiled = tmp_path / "plain", tmp_path / "profiled"
    assert run(capsys, monkeypatch, f"pretrain {data} --out {plain} {SMALL}")[0] is None
    code, said, _ = run(capsys, monkeypatch, f"pretrain {data} --out {profiled} --profile 3 {SMALL}")
    assert code is None
    assert "Encoder and head:" in said
    assert json.loads((profiled / "profile.json").read_text())["steps"] == 3
    a, b = (safetensors.torch.load_file(one / "encoder.safetensors") for one in (plain, profiled))
    assert all(torch.equal(a[name], b[name]) for name in a)
    code, _, error = run(capsys, monkeypatch, f"pretrain {data} --out {tmp_path / 'x'} --profile -1 {SMALL}")
    assert code
    assert "profile is -1" in str(code) + error
