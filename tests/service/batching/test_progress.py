from service.batching.progress import STALL_FACTOR, Progress


class Clock:
    """A clock that is moved by hand."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_batch_is_stuck_after_the_stall_time_and_not_before() -> None:
    clock = Clock()
    progress = Progress(clock=clock, stall_seconds=5.0)
    progress.begin(0, [])

    clock.now = 4.9
    assert progress.stuck() == []
    clock.now = 5.0
    assert [running.worker for running in progress.stuck()] == [0]


def test_where_batches_take_long_a_stuck_one_must_take_much_longer() -> None:
    clock = Clock()
    progress = Progress(clock=clock, stall_seconds=5.0)
    for _ in range(10):
        progress.begin(0, [])
        clock.now += 2.0
        progress.end(0)
    progress.begin(0, [])
    begun = clock.now

    clock.now = begun + 2.0 * STALL_FACTOR - 0.1
    assert progress.stuck() == []
    clock.now = begun + 2.0 * STALL_FACTOR
    assert len(progress.stuck()) == 1


def test_a_batch_that_was_given_up_does_not_end_again() -> None:
    progress = Progress(clock=Clock(), stall_seconds=0.0)
    progress.begin(0, [])
    [running] = progress.stuck()

    assert progress.give_up(running)
    assert not progress.give_up(running)
    assert not progress.end(0)
    assert progress.completed == 0
    assert progress.last_completed is None


def test_a_batch_that_ended_is_not_given_up() -> None:
    progress = Progress(clock=Clock(), stall_seconds=0.0)
    progress.begin(0, [])
    [running] = progress.stuck()

    assert progress.end(0)
    assert not progress.give_up(running)
    assert progress.completed == 1
