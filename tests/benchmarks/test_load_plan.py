"""What the load generator is told."""

from hypothesis import given
from hypothesis import strategies as st

from tests.benchmarks.load_plan import Plan, in_bodies


def test_a_plan_reaches_the_other_process_as_it_was() -> None:
    plan = Plan("127.0.0.1:8000", "surematch", [["ä", "b\n"], ["c", "d"]], 4, 1.5, rate=2.5, seed=7)

    assert Plan.from_json(plan.to_json()) == plan


@given(st.lists(st.text(), max_size=20), st.integers(1, 7))
def test_bodies_hold_the_texts_in_order_and_are_all_full(texts: list[str], size: int) -> None:
    bodies = in_bodies(texts, size)

    assert all(len(body) == size for body in bodies)
    assert [text for body in bodies for text in body] == texts[: len(texts) - len(texts) % size]
