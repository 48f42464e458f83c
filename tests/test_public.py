"""What `import twofold` promises."""

import ast
import doctest
import inspect
import logging
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

import twofold
from twofold.console import obeys_verbose, say, warn

NAMES = sorted(set(twofold.__all__) - {"__version__"})
FOR_AN_OWN_LOOP = (
    "Augmentation",
    "LARS",
    "ProjectionHead",
    "ResNet",
    "SimCLR",
    "TwoViews",
    "World",
    "adapt",
    "contrast_accuracy",
    "dcl",
    "forward_chunks",
    "knn",
    "linear_probe",
    "lr_at",
    "nt_logistic",
    "nt_xent",
    "open_world",
    "param_groups",
    "rows_of_step",
    "triplet",
)


def run_python(code: str) -> str:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()


@pytest.mark.parametrize("module", ["twofold", "twofold.cli.main", "twofold.recipes.named"])
def test_importing_does_not_import_torch(module: str) -> None:
    assert run_python(f"import sys, {module}; print('torch' in sys.modules)") == "False"


HEAVY = {"scipy", "sklearn", "pandas", "sympy"}  # each takes half a second or more, and a short run needs none
START = """
import sys, twofold.programs.pretrain
print(*sys.modules)
import twofold, twofold.training.loop, twofold.evaluation.evaluate
print(*(callable(one) for one in (twofold.pretrain, twofold.evaluate, twofold.transfer)))
"""


@pytest.fixture(scope="module")
def started() -> list[str]:
    """What a process prints: the modules that pretraining imports; whether functions are functions after all of it."""
    return run_python(START).splitlines()


def test_pretraining_starts_without_what_only_others_need(started: list[str]) -> None:
    modules = {*started[0].split()}
    assert "torch" in modules, "what is imported is seen"
    assert modules & HEAVY == set()


def test_what_is_heavy_is_seen() -> None:
    assert HEAVY & {*run_python("import sys, scipy; print(*sys.modules)").split()} == {"scipy"}


HELP = """
import contextlib, io, sys
known = {*sys.modules}
from twofold.cli.main import main
sys.argv = ["twofold", *sys.argv[1:]]
with contextlib.suppress(SystemExit), contextlib.redirect_stdout(io.StringIO()):
    main()
print(*sorted({name.split(".")[0] for name in sys.modules.keys() - known} - sys.stdlib_module_names))
"""
COMMAND_LINE = {
    "twofold",
    "tyro",
    "docstring_parser",
    "typeguard",
    "typing_extensions",
    "rich",
    "pygments",
    "markdown_it",
}


def imported_by(*command: str, code: str = HELP) -> set[str]:
    done = subprocess.run([sys.executable, "-c", code, *command], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


@pytest.mark.parametrize("command", [["--help"], ["pretrain", "--help"], ["evaluate", "--help"]])
def test_help_imports_what_the_command_line_needs_and_nothing_else(command: list[str]) -> None:
    """So it takes a third of a second (tools/check_wheel.py measures it): torch alone takes more."""
    assert {"twofold", "tyro"} <= imported_by(*command) <= COMMAND_LINE


def test_another_import_is_seen() -> None:
    assert "numpy" in imported_by("--help", code=HELP.replace("from twofold", "import numpy\nfrom twofold", 1))


@pytest.mark.parametrize("name", NAMES)
def test_every_public_name_is_there_and_has_a_docstring(name: str) -> None:
    assert name in dir(twofold)
    assert inspect.getdoc(getattr(twofold, name))


def test_an_editor_sees_every_public_name_where_it_is_loaded_from() -> None:
    """The imports under TYPE_CHECKING say the same as the table."""
    tree = ast.parse(Path(twofold.__file__).read_text())
    (guarded,) = [node for node in tree.body if isinstance(node, ast.If)]
    seen = {one.names[0].asname: one.module for one in guarded.body if isinstance(one, ast.ImportFrom)}
    assert seen == twofold._HOMES


def examples(name: str) -> doctest.DocTest:
    value = getattr(twofold, name)
    space = {"torch": torch, "nn": nn, **vars(inspect.getmodule(inspect.unwrap(value)))}
    return doctest.DocTestParser().get_doctest(inspect.getdoc(value) or "", space, name, None, None)


@pytest.mark.parametrize("name", FOR_AN_OWN_LOOP)
def test_what_an_own_loop_takes_has_an_example_that_holds(name: str) -> None:
    test, told = examples(name), list[str]()
    assert test.examples
    assert doctest.DocTestRunner().run(test, out=told.append).failed == 0, "".join(told)


def test_an_example_that_does_not_hold_is_seen() -> None:
    test = doctest.DocTestParser().get_doctest(">>> 1 + 1\n3\n", {}, "wrong", None, None)
    assert doctest.DocTestRunner().run(test, out=lambda _: None).failed == 1


def test_the_functions_stay_functions_after_their_modules_are_imported(started: list[str]) -> None:
    assert started[1] == "True True True"


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="pretrian"):
        _ = twofold.pretrian


@obeys_verbose
def speaking(*, verbose: bool = True) -> None:
    say("something")
    warn("take care")


def test_verbose_false_prints_nothing_and_hands_warnings_to_the_logger(
    capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    speaking()
    assert capsys.readouterr().out == "something\nWarning: take care\n"
    assert not caplog.records
    speaking(verbose=False)
    assert capsys.readouterr().out == ""
    assert [(one.name, one.levelname, one.message) for one in caplog.records] == [("twofold", "WARNING", "take care")]
    speaking()
    assert capsys.readouterr().out


def test_the_logger_s_level_mutes_too(capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, logger="twofold"):
        speaking()
    assert capsys.readouterr().out == ""
    assert [one.message for one in caplog.records] == ["take care"]


SPEAK = "import logging, twofold; {level}; from twofold.console import say; say('heard')"


@pytest.mark.parametrize(
    ("level", "heard"), [("pass", "heard"), ("logging.getLogger('twofold').setLevel('WARNING')", "")]
)
def test_a_level_that_is_set_before_the_first_use_mutes_too(level: str, heard: str) -> None:
    """What prints is imported at the first use: it must not undo what the user has set."""
    assert run_python(SPEAK.format(level=level)) == heard


def test_a_program_that_fails_leaves_the_console_as_it_was(capsys: pytest.CaptureFixture[str]) -> None:
    @obeys_verbose
    def failing(*, verbose: bool) -> None:
        raise twofold.TwofoldError("no")

    with pytest.raises(twofold.TwofoldError):
        failing(verbose=False)
    say("heard")
    assert capsys.readouterr().out == "heard\n"
