import inspect
import re

import pytest

from service.contract import errors
from service.contract.errors import SurematchError

CLASSES = [
    found
    for _, found in inspect.getmembers(errors, inspect.isclass)
    if found.__module__ == errors.__name__
]


def tree_of_the_docstring() -> dict[str, str]:
    """The parent of each name that the docstring draws."""
    branch, parents = [""], dict[str, str]()
    for line in inspect.cleandoc(errors.__doc__ or "").splitlines():
        if drawn := re.match(r"([│├└─ ]*)(\w+Error)\b", line):
            depth = len(drawn[1]) // 4
            parents[drawn[2]] = branch[depth]
            branch[depth + 1 :] = [drawn[2]]
    return parents


def test_the_tree_in_the_docstring_is_the_tree_of_the_classes() -> None:
    drawn = tree_of_the_docstring()

    real = {found.__name__: found.__bases__[0].__name__ for found in CLASSES}
    assert drawn == {**real, "SurematchError": ""}


@pytest.mark.parametrize("error", CLASSES)
def test_every_error_is_a_surematch_error_with_one_parent_and_a_reason(
    error: type[Exception],
) -> None:
    assert issubclass(error, SurematchError)
    assert len(error.__bases__) == 1
    assert error.__name__.endswith("Error")
    assert (error.__doc__ or "").endswith(".")


@pytest.mark.parametrize("error", CLASSES)
def test_a_mistake_of_a_programmer_is_never_caught_with_them(error: type[Exception]) -> None:
    assert not issubclass(error, ValueError | TypeError | OSError | RuntimeError)


@pytest.mark.parametrize("error", CLASSES)
def test_an_error_says_exactly_its_message(error: type[Exception]) -> None:
    assert str(error("p.csv, row 3: no title; add one")) == "p.csv, row 3: no title; add one"
