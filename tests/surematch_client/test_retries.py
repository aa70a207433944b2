import pytest
from hypothesis import given
from hypothesis import strategies as st
from surematch_client import errors
from surematch_client.retries import Attempt, Repeat, Retries, next_step

RETRIES = Retries(attempts=5, first_wait_seconds=0.5, max_wait_seconds=10.0)
UNREACHABLE = errors.UnreachableError("no route")
LOST = errors.ConnectionLostError("broke")


def busy(retry_after_seconds: float | None = None) -> errors.BusyError:
    return errors.BusyError("busy", 429, "d", retry_after_seconds=retry_after_seconds)


def not_ready(code: str) -> errors.NotReadyError:
    return errors.NotReadyError(code, 503, "d")


def attempt(
    number: int = 1,
    *,
    repeat: Repeat = Repeat.ALWAYS,
    left_seconds: float | None = None,
    chance: float = 0.5,
) -> Attempt:
    return Attempt(number, repeat, left_seconds, chance)


@pytest.mark.parametrize(
    ("failure", "always", "unless_taken"),
    [
        (busy(), True, True),
        (not_ready("not_ready"), True, True),
        (not_ready("http_503"), True, False),
        (UNREACHABLE, True, True),
        (LOST, True, False),
        (errors.TimedOutError("slow"), False, False),
        (errors.DeadlineError("deadline_exceeded", 504, "d"), False, False),
        (errors.ServerError("http_502", 502, "d"), False, False),
        (errors.InvalidRequestError("invalid_request", 422, "d"), False, False),
        (errors.AuthenticationError("no_key", 401, "d"), False, False),
        (errors.PermissionDeniedError("not_permitted", 403, "d"), False, False),
        (errors.BundleRefusedError("bundle_refused", 422, "d"), False, False),
        (errors.ApiError("no_previous", 409, "d"), False, False),
        (errors.InvalidResponseError("torn"), False, False),
    ],
    ids=str,
)
def test_only_what_may_help_and_cannot_harm_is_done_again(
    failure: errors.SurematchClientError, always: bool, unless_taken: bool
) -> None:
    may_repeat = {
        repeat: next_step(RETRIES, attempt(repeat=repeat), failure) is not None for repeat in Repeat
    }

    assert may_repeat == {
        Repeat.ALWAYS: always,
        Repeat.UNLESS_TAKEN: unless_taken,
        Repeat.NEVER: False,
    }


@pytest.mark.parametrize(
    ("number", "seconds"), [(1, 0.25), (2, 0.5), (3, 1.0), (4, 2.0), (5, None), (6, None)]
)
def test_the_range_of_waits_doubles_until_the_attempts_are_used_up(
    number: int, seconds: float | None
) -> None:
    assert next_step(RETRIES, attempt(number), UNREACHABLE) == seconds


def test_the_range_of_waits_ends_at_the_longest_wait_however_many_attempts() -> None:
    patient = Retries(attempts=10**6, first_wait_seconds=0.5, max_wait_seconds=10.0)

    assert next_step(patient, attempt(6), UNREACHABLE) == 5.0
    assert next_step(patient, attempt(999_999), UNREACHABLE) == 5.0


def test_the_wait_the_service_asks_for_is_kept_and_spread_a_little() -> None:
    assert next_step(RETRIES, attempt(chance=0.0), busy(3.0)) == 3.0
    assert next_step(RETRIES, attempt(chance=0.5), busy(3.0)) == 3.25
    assert next_step(RETRIES, attempt(chance=0.5), busy(10.0)) == 10.0


def test_a_wait_longer_than_the_longest_is_not_begun() -> None:
    assert next_step(RETRIES, attempt(), busy(10.01)) is None


def test_a_wait_that_would_end_at_the_deadline_or_later_is_not_begun() -> None:
    assert next_step(RETRIES, attempt(chance=0.0, left_seconds=3.0), busy(3.0)) is None
    assert next_step(RETRIES, attempt(chance=0.0, left_seconds=3.01), busy(3.0)) == 3.0
    assert next_step(RETRIES, attempt(left_seconds=-1.0), UNREACHABLE) is None


@given(
    retries=st.builds(
        Retries,
        attempts=st.integers(1, 50),
        first_wait_seconds=st.floats(0, 100),
        max_wait_seconds=st.floats(0, 100),
    ),
    attempt=st.builds(
        Attempt,
        number=st.integers(1, 60),
        repeat=st.sampled_from(Repeat),
        left_seconds=st.none() | st.floats(-10, 100),
        chance=st.floats(0, 1, exclude_max=True),
    ),
    asked=st.none() | st.floats(0, 200),
)
def test_no_wait_breaks_a_promise(retries: Retries, attempt: Attempt, asked: float | None) -> None:
    wait = next_step(retries, attempt, busy(asked))

    if wait is not None:
        assert attempt.number < retries.attempts
        assert (asked or 0.0) <= wait <= retries.max_wait_seconds
        assert attempt.left_seconds is None or wait < attempt.left_seconds
        assert attempt.repeat is not Repeat.NEVER


@pytest.mark.parametrize(
    "values",
    [
        {"attempts": 0},
        {"first_wait_seconds": -0.1},
        {"max_wait_seconds": -1.0},
        {"max_wait_seconds": float("nan")},
        {"first_wait_seconds": float("inf")},
    ],
)
def test_retries_out_of_their_range_are_a_mistake(values: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=f"{next(iter(values))} is .*, needed is"):
        Retries(**values)  # pyright: ignore[reportArgumentType]  # attempts is an integer
