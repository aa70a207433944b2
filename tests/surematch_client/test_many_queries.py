"""How both clients deal any number of queries into bodies and put the results in order."""

import threading
from collections.abc import Iterator
from typing import Any

import pytest
from surematch_client import ApiError, Query

from tests.surematch_client.both_clients import Ask
from tests.surematch_client.scripted_server import (
    SECONDS,
    Asked,
    Reply,
    problem,
    recommendations,
    serving,
)


def test_many_queries_are_answered_in_order_though_bodies_overtake_each_other(ask: Ask) -> None:
    second_came = threading.Event()

    def overtaken(asked: Asked) -> Reply:
        if asked.json["queries"][0]["text"] == "q0":
            assert second_came.wait(SECONDS)
        else:
            second_came.set()
        return recommendations(asked)

    queries = [Query(f"q{number}", id=number) for number in range(11)]
    with serving(overtaken) as server:
        results = ask(
            server.address,
            lambda client: client.recommend_many(iter(queries), batch=3, in_flight=2, k=1),
        )

    assert [each.id for each in results] == list(range(11))
    assert [each.recommendations[0].product_id for each in results] == [q.text for q in queries]
    sizes = sorted(len(asked.json["queries"]) for asked in server.asked)
    assert sizes == [2, 3, 3, 3]


def test_as_many_bodies_are_under_way_as_allowed_and_no_more(ask: Ask) -> None:
    together = threading.Barrier(3)

    def meeting(asked: Asked) -> Reply:
        together.wait(SECONDS)
        return recommendations(asked)

    with serving(meeting) as server:
        results = ask(
            server.address,
            lambda client: client.recommend_many(["q"] * 9, batch=1, in_flight=3),
        )

    assert len(results) == 9
    assert server.most_at_once == 3


def test_no_queries_have_no_results_and_ask_nothing(ask: Ask) -> None:
    with serving(recommendations) as server:
        assert ask(server.address, lambda client: client.recommend_many([])) == []

    assert server.asked == []


def test_the_first_body_that_fails_ends_it_with_its_error(ask: Ask) -> None:
    def third_fails(asked: Asked) -> Reply:
        is_third = asked.json["queries"][0]["text"] == "q2"
        return problem(422, "invalid_request") if is_third else recommendations(asked)

    def endless() -> Iterator[str]:
        number = 0
        while True:
            yield f"q{number}"
            number += 1

    with serving(third_fails) as server, pytest.raises(ApiError, match="422 invalid_request"):
        ask(
            server.address,
            lambda client: client.recommend_many(endless(), batch=1, in_flight=2),
        )

    assert len(server.asked) <= 4


def test_a_connection_is_used_again(ask: Ask) -> None:
    connections: set[Any] = set()

    with serving(recommendations) as server:
        process_request = server.process_request

        def remember(request: Any, client_address: Any) -> None:
            connections.add(client_address)
            process_request(request, client_address)

        server.process_request = remember
        ask(
            server.address,
            lambda client: client.recommend_many(["q"] * 5, batch=1, in_flight=1),
        )

    assert len(server.asked) == 5
    assert len(connections) == 1
