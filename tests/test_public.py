"""What `import twofold` promises."""

import inspect
import subprocess
import sys

import pytest

import twofold


def run_python(code: str) -> str:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()


@pytest.mark.parametrize("module", ["twofold", "twofold.cli.main", "twofold.recipes.named"])
def test_importing_does_not_import_torch(module: str) -> None:
    assert run_python(f"import sys, {module}; print('torch' in sys.modules)") == "False"


def test_that_check_can_fail() -> None:
    assert run_python("import sys, twofold.losses; print('torch' in sys.modules)") == "True"


def test_public_names_are_there_and_documented() -> None:
    for name in ("pretrain", "evaluate", "transfer", "embed", "load", "nt_xent", "LARS"):
        assert name in dir(twofold)
        assert inspect.getdoc(getattr(twofold, name))


def test_the_functions_stay_functions_after_their_modules_are_imported() -> None:
    use = "print(*(callable(f) for f in (twofold.pretrain, twofold.evaluate, twofold.transfer)))"
    assert run_python(f"import twofold, twofold.training.loop, twofold.evaluation.transfer; {use}") == "True True True"


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="pretrian"):
        _ = twofold.pretrian
