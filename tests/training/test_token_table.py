from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.contract.tokens import TextTokeniser, TokenisedText, batches_by_length
from tests.tiny import make_tokenizer
from tests.tiny_encoder import write_tiny_encoder
from training.embedding import embed, encode
from training.encoder import load_encoder
from training.token_table import TokenTable, distinct, tokenise

TITLES = ["red shoe", "a much longer name of a green hat", "Red  SHOE", "", "blue shoe"]

ids = st.lists(st.integers(0, 3) | st.integers(0, 2**31 - 1), max_size=5).map(tuple)
token_lists = st.lists(st.builds(TokenisedText, ids, st.booleans(), st.booleans()), max_size=12)


def table_of(*texts: tuple[int, ...]) -> TokenTable:
    return TokenTable.of(TokenisedText(text, truncated=False, is_blank=False) for text in texts)


@given(token_lists, st.data())
def test_a_table_reads_like_the_list_it_was_made_of(
    texts: list[TokenisedText], data: st.DataObject
) -> None:
    table = TokenTable.of(iter(texts))
    rows = data.draw(st.lists(st.sampled_from(range(len(texts))))) if texts else []

    assert len(table) == len(texts)
    assert list(table) == texts
    assert [table[row] for row in range(-len(texts), len(texts))] == texts + texts
    assert table[1:-1] == texts[1:-1]
    assert table.take(rows) == table.take(np.array(rows, dtype=np.int64))
    assert table.take(rows) == [texts[row] for row in rows]
    assert table.lengths.tolist() == [len(text.ids) for text in texts]
    assert table.lengths.dtype == table.ids.dtype == np.int32


@given(token_lists)
def test_groups_are_what_a_sorted_set_of_the_ids_gives(texts: list[TokenisedText]) -> None:
    rows_of_first, row_of_each = distinct(TokenTable.of(texts))

    in_order = sorted({text.ids for text in texts})
    all_ids = [text.ids for text in texts]
    assert rows_of_first.tolist() == [all_ids.index(ids) for ids in in_order]
    assert row_of_each.tolist() == [in_order.index(ids) for ids in all_ids]


def test_ids_are_sorted_as_numbers_and_a_beginning_comes_before_the_whole() -> None:
    rows_of_first, row_of_each = distinct(table_of((256,), (1, 1), (1,), (255,), (1, 1)))

    assert rows_of_first.tolist() == [2, 1, 3, 0]
    assert row_of_each.tolist() == [3, 1, 0, 2, 1]


@pytest.mark.parametrize("row", [2, -3])
def test_a_row_that_is_not_there_is_an_error(row: int) -> None:
    with pytest.raises(IndexError):
        table_of((1,), (2,))[row]


def test_a_table_cannot_be_changed() -> None:
    table = table_of((1, 2))

    for column in (table.ids, table.offsets, table.truncated, table.is_blank):
        with pytest.raises(ValueError, match="read-only"):
            column[0] = 1


def test_tables_are_equal_where_every_text_is() -> None:
    table = table_of((1, 2), (3,))

    assert table == table_of((1, 2), (3,))
    assert hash(table) == hash(table_of((1, 2), (3,)))
    for other in (table_of((1,), (2, 3)), table_of((1, 2), (4,)), table_of((1, 2, 3)), 3):
        assert table != other
    assert table_of((1,)) != TokenTable.of([TokenisedText((1,), truncated=True, is_blank=False)])
    assert table_of((1,)) != TokenTable.of([TokenisedText((1,), truncated=False, is_blank=True)])


@pytest.mark.parametrize("block", [1, 2, 5, 100])
def test_texts_are_tokenised_the_same_in_blocks_of_any_size(block: int) -> None:
    tokeniser = TextTokeniser(make_tokenizer(TITLES, max_tokens=5))

    table = tokenise(tokeniser, iter(TITLES), block=block)

    assert list(table) == tokeniser(TITLES)
    assert table.is_blank.tolist() == [False, False, False, True, False]
    assert table.truncated.tolist() == [False, True, False, False, False]


def test_no_more_than_a_block_of_texts_is_tokenised_at_a_time() -> None:
    sizes: list[int] = []

    class Counted(TextTokeniser):
        def __call__(self, texts: list[str]) -> list[TokenisedText]:  # type: ignore[override]
            sizes.append(len(texts))
            return super().__call__(texts)

    tokenise(Counted(make_tokenizer(TITLES)), TITLES, block=2)

    assert sizes == [2, 2, 1]


def test_the_encoder_reads_a_table_and_what_is_taken_from_it(tmp_path: Path) -> None:
    loaded = load_encoder(str(write_tiny_encoder(tmp_path, TITLES)), max_tokens=32)
    loaded.model.eval()
    model, tokeniser = loaded.model, loaded.tokeniser
    table = tokenise(tokeniser, TITLES)
    rows = [4, 1, 3]
    texts = [list(table)[row] for row in rows]

    whole = embed(model, table, tokeniser, what="texts")
    taken = embed(model, table.take(rows), tokeniser, what="texts")

    assert np.array_equal(whole, embed(model, list(table), tokeniser, what="texts"))
    assert np.allclose(taken, whole[rows], atol=1e-6)
    assert encode(model, table.take(rows), tokeniser).equal(encode(model, texts, tokeniser))
    assert batches_by_length(table, max_padded_tokens=12) == batches_by_length(
        list(table), max_padded_tokens=12
    )
