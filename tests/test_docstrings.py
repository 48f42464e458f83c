"""The examples in docstrings do what they say."""

import doctest
import sys

import pytest

import twofold

EXAMPLES = ("TwoViews", "Augmentation")


@pytest.mark.parametrize("name", EXAMPLES)
def test_the_example_of_a_public_name_runs(name: str) -> None:
    thing = getattr(twofold, name)
    (found,) = doctest.DocTestFinder(recurse=False).find(thing, name, globs={})
    assert found.examples, f"the docstring of {name} has an example"
    result = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS).run(found, out=sys.stderr.write)
    assert result.failed == 0
