"""How a command that fails ends: every flag that it names is one that it has."""

import ast
import functools
import json
import re
import shutil
import sys
from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from pathlib import Path
from typing import NoReturn

import pytest
import torch

import twofold
from pictures import write_pictures
from small_recipe import SMALL
from test_layers import file_edges
from twofold.cli import main as cli
from twofold.cli.failures import flags_of, own_flags_only
from twofold.errors import TwofoldError, enough_memory, require
from twofold.programs.pretrain import pretrain
from twofold.recipes.written_flags import SHORT
from twofold.runs.encoder_file import load

ROOT = Path(twofold.__file__).parent
COMMANDS = cli.COMMANDS
FLAG = re.compile(r"(?<![\w-])(?<!var\()--([a-z][a-z-]*[a-z])")  # var(--NAME): a variable of CSS
QUOTED = re.compile(r"'twofold (\w+)([^']*)'")
ALL = {flag for command in COMMANDS.values() for flag in flags_of(command)}
WORDS = {"help", "version", *(flag.removeprefix("--") for flag in SHORT)}  # of the program itself


def texts(tree: ast.AST) -> Iterator[str]:
    """Every text of a source that is no docstring; what is put into it is shown as 0. `require` names a flag too."""
    bodies = (node.body for node in ast.walk(tree) if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef))
    docstrings = {id(body[0].value) for body in bodies if body and isinstance(body[0], ast.Expr)}
    inner = {id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in node.values}
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            yield "".join(str(part.value) if isinstance(part, ast.Constant) else "0" for part in node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in inner | docstrings:
            yield node.value
        elif isinstance(node, ast.Call) and getattr(node.func, "id", None) == "require" and len(node.args) > 3:
            name, fixes = node.args[1], [one for one in node.keywords if one.arg == "fix"]
            if isinstance(name, ast.Constant) and not fixes:
                yield f"Change --{name.value.replace('_', '-')}."


@functools.cache
def messages() -> dict[Path, list[str]]:
    """The texts of each file that name a flag."""
    written = {ROOT / "distributed" / "job_files.py"}  # commands of other programs
    found = {path: [*texts(ast.parse(path.read_text()))] for path in sorted({*ROOT.rglob("*.py")} - written)}
    return {path: [text for text in some if FLAG.search(text)] for path, some in found.items()}


def wrong_flags(text: str, flags: AbstractSet[str]) -> set[str]:
    """The flags in the text that are not among `flags`; in a quoted command, those that it does not have."""
    wrong = {
        flag
        for command, rest in QUOTED.findall(text)
        for flag in FLAG.findall(rest)
        if command not in COMMANDS or flag not in flags_of(COMMANDS[command])
    }
    return wrong | {flag for flag in FLAG.findall(QUOTED.sub("", text)) if flag not in flags}


def test_there_are_messages_and_they_are_found() -> None:
    every = [text for some in messages().values() for text in some]
    assert len(every) > 40
    for said in ("raise --max-unreadable-fraction", "Give --epochs or --minutes", "Change --store-px.", "--chunk 64"):
        assert any(said in text for text in every), said


@pytest.mark.parametrize("command", COMMANDS)
def test_the_flags_of_a_command_are_those_of_its_help(
    command: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["twofold", command, "--help"])
    monkeypatch.setenv("COLUMNS", "200")
    with pytest.raises(SystemExit):
        cli.main()
    helped = re.findall(r"^[\s│|]*(?:-h, )?--([a-z][a-z0-9-]*)", capsys.readouterr().out, re.MULTILINE)
    assert {*helped} - {"help", "no-allow-outside", "no-pixels", "no-plan", "no-simulate"} == flags_of(
        COMMANDS[command]
    )


def test_every_flag_of_a_message_is_one_of_some_command() -> None:
    for path, some in messages().items():
        for text in some:
            assert not wrong_flags(text, ALL | WORDS), (path, text)


@pytest.mark.parametrize("command", COMMANDS)
def test_what_a_command_prints_names_its_own_flags_alone(command: str) -> None:
    for some in messages().values():
        for text in some:
            shown = own_flags_only(text, command, COMMANDS)
            assert not wrong_flags(shown, flags_of(COMMANDS[command]) | WORDS), shown


BEGINS = {  # where the work of the commands begins that measure
    "evaluate": ["twofold.programs.evaluate"],
    "transfer": ["twofold.programs.transfer"],
    "embed": ["twofold.programs.images", "twofold.evaluation.features", "twofold.evaluation.export"],
}
OF_OTHERS = {  # (module, flag) of messages that are shown as 'twofold pretrain --FLAG', or that they cannot meet
    # how the encoder that they are handed was trained
    ("data.facts", "channels"),
    ("data.bands", "bands"),
    ("data.bands", "channels"),
    ("data.pixel_checks", "bands"),
    ("data.pixel_checks", "channels"),
    ("views.augmentations.own", "colour"),
    ("data.findings", "test-fraction"),
    ("data.file_pixels", "decode"),
    ("views.augmentations.own", "ops"),
    ("data.pixel_checks", "range"),
    ("data.pixel_checks", "range-from"),
    ("data.pixel_checks", "truncated"),
    ("data.samples", "range"),
    ("data.samples", "range-from"),
    ("runs.other_encoders", "channels"),
    ("models", "encoder"),
    ("models.adapters", "size-px"),
    ("models.head", "z-dim"),
    ("models.dry_run", "channels"),
    ("models.dry_run", "eval-size-px"),
    ("models.dry_run", "size-px"),
    ("models.resnet", "stages"),
    ("models.resnet", "width"),
    # training it, which they do not; schedules are made for as many steps as there are
    ("data.copies", "batch-size"),
    ("data.copies", "duplicates"),
    ("data.loader", "batch-size"),
    ("data.resident", "resident"),
    ("training.health", "base-lr"),
    ("training.health", "temperature"),
    ("optim.schedule", "warmup-fraction"),
    ("report.headline", "base-lr"),
    ("hardware.device", "compile"),
    ("hardware.arithmetic", "deterministic"),
    ("hardware.arithmetic", "encoder"),
    ("runs.run_directory", "out"),
    ("runs.run_directory", "epochs"),
    ("runs.run_directory", "minutes"),
    # another of these commands
    ("evaluation.scope", "label-fraction"),
    ("evaluation.scope", "shots"),
    ("evaluation.scope", "self-train-steps"),
    ("evaluation.export", "out"),
    ("evaluation.embedding_writer", "out"),
    ("curation.result_folder", "out"),
    # beside the classifier, whose fit alone evaluate calls
    ("curation.duplicates", "threshold"),
    ("curation.picking", "count"),
    ("curation.picking", "labels"),
    ("curation.picking", "method"),
    ("curation.picking", "simulate"),
    ("curation.tables", "out"),
}


@functools.cache
def reached(command: str) -> set[str]:
    """All modules that it imports, over any number of steps, but for those in which a recipe checks its settings."""
    edges, seen, left = file_edges(), set(), list(BEGINS[command])
    while left:
        name = left.pop()
        if name not in seen:
            seen.add(name)
            left += edges[name]
    return {name for name in seen if not name.startswith("twofold.recipes.")}


def test_the_messages_that_a_measuring_command_can_reach_name_its_own_flags() -> None:
    """Whoever adds one that does not has to give the command that flag, or to say above why it needs none."""
    files = {module_of(path): path for path in messages()}
    found = {
        (command, name.removeprefix("twofold."), flag)
        for command in BEGINS
        for name in reached(command) & set(files)
        for text in messages()[files[name]]
        for flag in wrong_flags(text, flags_of(COMMANDS[command]))
    }
    assert {(name, flag) for _, name, flag in found} == OF_OTHERS


def module_of(path: Path) -> str:
    return ".".join(("twofold", *path.relative_to(ROOT).with_suffix("").parts)).removesuffix(".__init__")


def test_flags_of_others_are_shown_with_their_command() -> None:
    def shown(text: str) -> str:
        return own_flags_only(text, "embed", COMMANDS)

    assert shown("raise --max-unreadable-fraction.") == "raise --max-unreadable-fraction."
    assert (
        shown("Give --chunk 64 or --memory 8GiB.")
        == "Give 'twofold pretrain --chunk 64' or 'twofold pretrain --memory 8GiB'."
    )
    assert shown("Change --label-fraction.") == "Change 'twofold evaluate --label-fraction'."
    assert shown("See 'twofold pretrain ... --base-lr 0.1'.") == "See 'twofold pretrain ... --base-lr 0.1'."
    assert shown("no file 'my--chunk' or --unknown") == "no file 'my--chunk' or --unknown"
    for command in ("pretrain", "bench"):
        assert own_flags_only("Change --batch-size.", command, COMMANDS) == "Change --batch-size."


def test_a_rule_may_have_another_fix_than_a_flag() -> None:
    with pytest.raises(TwofoldError, match=r"^x_px is 3, but it must be above 3. Change --x-px\.$"):
        require(False, "x_px", 3, "above 3")
    with pytest.raises(TwofoldError, match=r"above 3\. Ask\.$"):
        require(False, "x_px", 3, "above 3", fix="Ask.")
    require(True, "x_px", 3, "above 3")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run, and other images of which a quarter is broken."""
    home = tmp_path_factory.mktemp("failures")
    data = write_pictures(home / "data", per_class=8, splits=("train", "test"))
    pretrain(data, out=home / "run", recipe=SMALL, cache=home / "cache")
    broken = write_pictures(home / "broken", per_class=9, splits=("train", "test"))
    for path in sorted(broken.rglob("*.png"))[::4]:
        path.write_bytes(b"no image")
    return home


def call(home: Path, monkeypatch: pytest.MonkeyPatch, command: str) -> object:
    monkeypatch.chdir(home)
    monkeypatch.setattr(sys, "argv", ["twofold", *command.split(), "--cache", "cache"])
    try:
        cli.main()
    except SystemExit as stop:
        return stop.code
    return None


MEASURING = {
    "embed": "embed run broken --out h.parquet",
    "evaluate": "evaluate run --data broken --protocol knn --seeds 1 --few-seeds 1 --shots 1",
    "transfer": "transfer run --to broken --protocol knn --seeds 1",
}


@pytest.mark.parametrize("command", MEASURING)
def test_the_flag_that_the_error_recommends_is_there_and_helps(
    home: Path, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    code = call(home, monkeypatch, MEASURING[command])
    assert "more than the 10% allowed" in str(code)
    assert "or raise --max-unreadable-fraction." in str(code)
    assert call(home, monkeypatch, f"{MEASURING[command]} --max-unreadable-fraction 0.4") is None
    code = call(home, monkeypatch, f"{MEASURING[command]} --max-unreadable-fraction 1.5")
    assert "max_unreadable_fraction is 1.5, but it must be a fraction in [0, 1)" in str(code)


@pytest.mark.parametrize("command", MEASURING)
def test_device_and_precision_are_chosen(home: Path, monkeypatch: pytest.MonkeyPatch, command: str) -> None:
    used = []
    real = twofold.runs.encoder_file.resolve_hardware

    def watched(recipe):
        used.append((recipe.device, recipe.precision))
        return real(recipe)

    monkeypatch.setattr("twofold.runs.encoder_file.resolve_hardware", watched)
    words = MEASURING[command].replace("broken", "data")
    assert call(home, monkeypatch, f"{words} --device cpu --precision bf16") is None
    assert set(used) == {("cpu", "bf16")}
    code = str(call(home, monkeypatch, f"{words} --device cuda:99"))
    assert "--device cpu" in code
    assert "Traceback" not in code
    assert "precision" in str(call(home, monkeypatch, f"{words} --precision fp33"))


@pytest.mark.parametrize(
    ("command", "says"),
    [
        ("pretrain data --out new", "--chunk 64"),
        ("embed run data --out h.parquet", "--device cpu"),
        ("evaluate run --data data", "--device cpu"),
        ("study loss", "a machine with more"),
    ],
)
def test_too_little_memory_is_told_with_flags_of_the_command(
    home: Path, monkeypatch: pytest.MonkeyPatch, command: str, says: str
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise MemoryError

    name = command.split()[0]
    monkeypatch.setattr(f"twofold.programs.{name}.{name}", fail)
    code = str(call(home, monkeypatch, command))
    assert says in code
    assert not wrong_flags(code, flags_of(COMMANDS[name]))


def test_a_study_shows_whose_flag_it_is(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    code = str(call(home, monkeypatch, "study loss --data broken --plan"))
    assert "or raise 'twofold pretrain --max-unreadable-fraction'." in code


OUT_OF_MEMORY = [
    torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 9.00 GiB.\nSee the documentation"),
    RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling cublasCreate"),
    MemoryError("Unable to allocate 9 GiB"),
]
WHERE = {  # command, what fails in it, what the error says
    "a step": ("pretrain data --out OUT", "twofold.training.loop.train_step", "--chunk 64"),
    "measuring": ("pretrain data --out OUT", "twofold.speed.step_time.train_step", "--memory 8GiB"),
    "measuring the chunk": (
        "pretrain data --out OUT --memory 9GiB",
        "twofold.speed.chunk_size.train_step",
        "smaller --batch-size",
    ),
    "profiling": (
        "pretrain data --out OUT --profile 1",
        "twofold.speed.step_profile.train_step",
        "smaller --batch-size",
    ),
    "the gallery": ("pretrain data --out OUT", "twofold.programs.pretrain.build_gallery", "--device cpu"),
    "embed": ("embed run data --out OUT.parquet", "twofold.evaluation.features._encode", "--device cpu"),
    "evaluate": ("evaluate run --data data", "twofold.evaluation.features._encode", "--device cpu"),
    "transfer": ("transfer run --to data", "twofold.evaluation.features._encode", "out of --protocol"),
}


@pytest.mark.parametrize("error", OUT_OF_MEMORY, ids=["allocator", "library", "host"])
@pytest.mark.parametrize("place", WHERE)
def test_too_little_memory_is_one_error_of_ours_wherever_it_happens(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str, error: Exception
) -> None:
    """Of ours: so that who calls from Python reads what the command line shows."""
    command, function, says = WHERE[place]
    raised: list[BaseException] = []

    def fail(*_: object, **__: object) -> None:
        raise error

    def told(text: str) -> NoReturn:
        raised.append(sys.exc_info()[1] or KeyError())
        sys.exit(text)

    monkeypatch.setattr("twofold.cli.failures._fail", told)
    monkeypatch.setattr(function, fail)
    shutil.rmtree(home / "cache" / "curation", ignore_errors=True)  # embeddings that are kept are not made
    if command.startswith("pretrain"):
        recipe = tmp_path / "recipe.json"
        recipe.write_text(json.dumps({"recipe": SMALL.to_dict()}))
        command += f" --recipe {recipe}"
    code = str(call(home, monkeypatch, command.replace("OUT", str(tmp_path / "out"))))
    assert [type(one) for one in raised] == [TwofoldError]
    assert raised[0].__cause__ is error
    assert str(error).splitlines()[0] in code
    assert says in code
    assert "documentation" not in code
    assert not wrong_flags(code, flags_of(COMMANDS[command.split()[0]]))


@pytest.mark.parametrize("error", OUT_OF_MEMORY, ids=["allocator", "library", "host"])
def test_images_that_are_too_many_at_once_are_told(
    home: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def fail(*_: object) -> None:
        raise error

    loaded = load(home / "run")
    images = sorted((home / "data").rglob("*.png"))[:3]
    monkeypatch.setattr(loaded.encoder, "forward", fail)
    with pytest.raises(TwofoldError, match=r"memory is not enough for 3 images at a time .*smaller batch_size"):
        loaded.embed(images)


@pytest.mark.parametrize("error", [RuntimeError("a fault"), KeyError("a fault")])
def test_what_is_no_want_of_memory_passes_unchanged(error: Exception) -> None:
    with pytest.raises(type(error), match="a fault") as caught, enough_memory("nothing", "Nothing."):
        raise error
    assert caught.value is error
