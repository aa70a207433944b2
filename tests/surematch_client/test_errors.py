import pickle
import re

import pytest
import surematch_client
from surematch_client import errors


def tree(kind: type[BaseException], depth: int = 0) -> list[tuple[str, int]]:
    below = [line for child in kind.__subclasses__() for line in tree(child, depth + 1)]
    return [(kind.__name__, depth), *below]


def test_the_tree_in_the_docstring_is_the_tree_of_the_classes() -> None:
    drawn = re.findall(r"^([│├└─ ]*)(\w+Error)\b", errors.__doc__ or "", re.MULTILINE)

    assert [(name, len(branch) // 4) for branch, name in drawn] == tree(errors.SurematchClientError)


def test_every_error_is_public() -> None:
    names = {name for name, _ in tree(errors.SurematchClientError)}

    assert names <= set(surematch_client.__all__)


@pytest.mark.parametrize("kind", [errors.ApiError, errors.BusyError, errors.InvalidRequestError])
def test_an_error_survives_the_way_to_another_process(kind: type[errors.ApiError]) -> None:
    wrong = [errors.FieldError("k", "must be 1 or more")]
    error = kind("a_code", 422, "why", errors=wrong, request_id="r", retry_after_seconds=2.5)

    found = pickle.loads(pickle.dumps(error))  # noqa: S301  # our own bytes

    assert type(found) is kind
    assert vars(found) == vars(error)
    assert str(found) == str(error) == "422 a_code: why (request r)"


def test_an_error_without_a_request_id_does_not_speak_of_one() -> None:
    assert str(errors.ServerError("http_502", 502, "why")) == "502 http_502: why"
