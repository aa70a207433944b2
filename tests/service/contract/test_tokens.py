from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer
from tokenizers.processors import Sequence

from service.contract.errors import DataError
from service.contract.text import normalise
from service.contract.tokens import TextTokeniser, TokenisedText, batches_by_length
from tests.tiny import make_tokenizer

PAD, UNK, CLS, SEP = 0, 1, 2, 3
A, B, C = 4, 5, 6
MAX_TOKENS = 5

tokeniser = TextTokeniser(make_tokenizer(["a b c"], max_tokens=MAX_TOKENS))
untruncated = make_tokenizer(["a b c"])
untruncated.no_truncation()
untruncated.no_padding()

texts = st.text(st.characters() | st.sampled_from("abc ABC\t\x00-."), max_size=30)


def tokenised(length: int) -> TokenisedText:
    return TokenisedText(ids=tuple(range(1, length + 1)), truncated=False, is_blank=False)


tokenised_texts = st.lists(st.integers(0, 40).map(tokenised), max_size=40)


@pytest.mark.parametrize(
    ("text", "ids", "truncated", "is_blank"),
    [
        ("a", (CLS, A, SEP), False, False),
        ("A  b", (CLS, A, B, SEP), False, False),
        ("a b c", (CLS, A, B, C, SEP), False, False),
        ("a b c a", (CLS, A, B, C, SEP), True, False),
        ("a b c a b c a b c a b c", (CLS, A, B, C, SEP), True, False),
        ("zebra", (CLS, UNK, SEP), False, False),
        ("a\x00b", (CLS, A, B, SEP), False, False),
        ("", (CLS, SEP), False, True),
        (" \t\u200b\u00a0", (CLS, SEP), False, True),
        ("\ufffd", (CLS, SEP), False, True),
        ("\udc00\ud800", (CLS, SEP), False, True),
        ("[SEP]", (CLS, UNK, UNK, UNK, SEP), False, False),
    ],
)
def test_a_text_gets_these_tokens(
    text: str, ids: tuple[int, ...], truncated: bool, is_blank: bool
) -> None:
    expected = TokenisedText(ids=ids, truncated=truncated, is_blank=is_blank)

    assert tokeniser([text]) == [expected]


@given(texts)
def test_a_text_is_marked_truncated_exactly_when_tokens_were_cut_off_its_end(text: str) -> None:
    whole = untruncated.encode(normalise(text)).ids

    found = tokeniser([text])[0]

    kept = whole if len(whole) <= MAX_TOKENS else [*whole[: MAX_TOKENS - 1], SEP]
    assert (list(found.ids), found.truncated) == (kept, len(whole) > MAX_TOKENS)


@given(texts)
def test_a_text_is_blank_exactly_when_only_special_tokens_are_left(text: str) -> None:
    found = tokeniser([text])[0]

    assert found.is_blank == (set(found.ids) <= {CLS, SEP})


@given(st.lists(texts, max_size=6))
def test_a_text_is_tokenised_as_if_it_were_alone(many: list[str]) -> None:
    together = tokeniser(many)

    assert together == [tokeniser([text])[0] for text in many]


def test_threads_that_share_a_tokeniser_get_the_answers_of_one() -> None:
    many = [" ".join("abc"[(row + shift) % 3] for shift in range(row % 7)) for row in range(200)]
    expected = tokeniser(many)

    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(tokeniser, [many] * 32))

    assert all(answer == expected for answer in found)


def test_no_text_gives_no_tokens() -> None:
    assert tokeniser([]) == []


@given(tokenised_texts.filter(bool))
def test_a_padded_batch_holds_the_ids_on_the_left_and_nothing_else(
    many: list[TokenisedText],
) -> None:
    batch = tokeniser.pad(many)

    lengths = [len(text.ids) for text in many]
    assert batch.ids.shape == batch.mask.shape == (len(many), max(lengths))
    for row, text in enumerate(many):
        assert tuple(batch.ids[row, : lengths[row]].tolist()) == text.ids
        assert (batch.ids[row, lengths[row] :] == PAD).all()
        assert batch.mask[row].tolist() == [1] * lengths[row] + [0] * (max(lengths) - lengths[row])


def test_a_padded_batch_of_two_looks_like_this() -> None:
    batch = tokeniser.pad(tokeniser(["a", "a b c"]))

    assert batch.ids.tolist() == [[CLS, A, SEP, PAD, PAD], [CLS, A, B, C, SEP]]
    assert batch.mask.tolist() == [[1, 1, 1, 0, 0], [1, 1, 1, 1, 1]]
    assert (batch.ids.dtype, batch.mask.dtype) == (np.int64, np.int64)


def test_padding_uses_the_pad_token_of_the_tokenizer() -> None:
    tokenizer = make_tokenizer(["a b"])
    tokenizer.enable_padding(pad_id=UNK, pad_token="[UNK]")
    other = TextTokeniser(tokenizer)

    batch = other.pad(other(["", "a"]))

    assert batch.ids.tolist() == [[CLS, SEP, UNK], [CLS, A, SEP]]


def test_a_tokenizer_that_is_loaded_is_not_changed() -> None:
    tokenizer = make_tokenizer(["a"])
    before = tokenizer.to_str()

    TextTokeniser(tokenizer)

    assert tokenizer.to_str() == before


def test_a_file_gives_the_tokens_of_the_tokenizer_that_wrote_it(tmp_path: Path) -> None:
    path = tmp_path / "tokenizer.json"
    make_tokenizer(["a b c"], max_tokens=MAX_TOKENS).save(str(path))

    found = TextTokeniser.from_file(path)

    assert (found.max_tokens, found.pad_id) == (MAX_TOKENS, PAD)
    assert found(["a b c c b a", ""]) == tokeniser(["a b c c b a", ""])


@pytest.mark.parametrize("direction", ["left", "right"])
def test_a_long_text_is_cut_at_its_end_whatever_direction_the_file_names(direction: str) -> None:
    tokenizer = make_tokenizer(["a b c"])
    tokenizer.enable_truncation(MAX_TOKENS, stride=2, direction=direction)

    found = TextTokeniser(tokenizer)(["a b c a a a"])[0]

    assert (found.ids, found.truncated) == ((CLS, A, B, C, SEP), True)


def without_truncation() -> Tokenizer:
    tokenizer = make_tokenizer(["a"])
    tokenizer.no_truncation()
    return tokenizer


def without_padding() -> Tokenizer:
    tokenizer = make_tokenizer(["a"])
    tokenizer.no_padding()
    return tokenizer


def without_room_for_words() -> Tokenizer:
    return make_tokenizer(["a"], max_tokens=2)


@pytest.mark.parametrize(
    ("tokenizer", "message"),
    [
        (without_truncation(), "no truncation"),
        (without_padding(), "no padding"),
        (without_room_for_words(), "2 tokens, of which 2 are special"),
    ],
)
def test_a_tokenizer_that_cannot_bound_its_batches_is_refused(
    tokenizer: Tokenizer, message: str, tmp_path: Path
) -> None:
    path = tmp_path / "tokenizer.json"
    tokenizer.save(str(path))

    with pytest.raises(DataError, match=message):
        TextTokeniser.from_file(path)


@pytest.mark.parametrize("content", [b"", b"{}", b"not JSON", b"\xff\xfe", b'{"version": "1.0"}'])
def test_a_file_that_is_no_tokenizer_is_refused_by_name(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "tokenizer.json"
    path.write_bytes(content)

    with pytest.raises(DataError, match=r"tokenizer\.json is not a tokenizer file"):
        TextTokeniser.from_file(path)


def test_a_tokenizer_file_that_is_missing_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"absent\.json is not a tokenizer file"):
        TextTokeniser.from_file(tmp_path / "absent.json")


@given(tokenised_texts, st.integers(1, 100))
def test_each_text_is_in_exactly_one_batch(many: list[TokenisedText], bound: int) -> None:
    batches = batches_by_length(many, max_padded_tokens=bound)

    assert sorted(row for batch in batches for row in batch) == list(range(len(many)))
    assert all(batches)


@given(tokenised_texts, st.integers(1, 100))
def test_a_batch_obeys_its_bound_unless_a_single_text_is_longer(
    many: list[TokenisedText], bound: int
) -> None:
    for batch in batches_by_length(many, max_padded_tokens=bound):
        width = max(len(many[row].ids) for row in batch)

        assert len(batch) == 1 or width * len(batch) <= bound


@given(tokenised_texts, st.integers(1, 100))
def test_no_text_of_a_batch_is_longer_than_one_of_the_next(
    many: list[TokenisedText], bound: int
) -> None:
    batches = batches_by_length(many, max_padded_tokens=bound)

    lengths = [len(many[row].ids) for batch in batches for row in batch]
    assert lengths == sorted(lengths)


@pytest.mark.parametrize(
    ("lengths", "bound", "expected"),
    [
        ([], 8, []),
        ([3], 8, [[0]]),
        ([9], 8, [[0]]),
        ([4, 4], 8, [[0, 1]]),
        ([4, 4], 7, [[0], [1]]),
        ([4, 4, 4], 8, [[0, 1], [2]]),
        ([5, 1, 3, 2], 6, [[1, 3], [2], [0]]),
        ([2, 2, 2], 1, [[0], [1], [2]]),
        ([3, 3, 9, 1], 9, [[3, 0, 1], [2]]),
    ],
)
def test_texts_fall_into_these_batches(
    lengths: list[int], bound: int, expected: list[list[int]]
) -> None:
    many = [tokenised(length) for length in lengths]

    assert batches_by_length(many, max_padded_tokens=bound) == expected


@pytest.mark.parametrize(
    ("ids", "whole"),
    [
        ([A], (CLS, A, SEP)),
        ([A, B, C], (CLS, A, B, C, SEP)),
        ([CLS, A, SEP], (CLS, A, SEP)),
        ([CLS, A, B, C, SEP], (CLS, A, B, C, SEP)),
        ([CLS, A], (CLS, CLS, A, SEP)),
        ([A, SEP], (CLS, A, SEP, SEP)),
        ([CLS], (CLS, CLS, SEP)),
        ([UNK], (CLS, UNK, SEP)),
    ],
)
def test_ids_of_a_caller_stand_between_special_tokens_once(
    ids: list[int], whole: tuple[int, ...]
) -> None:
    assert tokeniser.of_ids(ids) == TokenisedText(ids=whole, truncated=False, is_blank=False)


@pytest.mark.parametrize(
    ("ids", "message"),
    [
        ([], "holds 0 ids besides the special ones, it must hold 1 to 3"),
        ([CLS, SEP], "holds 0 ids"),
        ([A, A, A, A], "holds 4 ids"),
        ([CLS, A, A, A, A, SEP], "holds 4 ids"),
        ([-1], "outside the vocabulary, whose ids are 0 to 6"),
        ([A, C + 1], "outside the vocabulary"),
    ],
)
def test_ids_that_the_model_cannot_read_are_refused(ids: list[int], message: str) -> None:
    with pytest.raises(DataError, match=message):
        tokeniser.of_ids(ids)


@given(texts)
def test_the_ids_of_a_text_are_that_text_with_special_tokens_and_without(text: str) -> None:
    own = tokeniser([text])[0]
    if own.is_blank:
        return

    assert tokeniser.of_ids(own.ids).ids == own.ids
    assert tokeniser.of_ids(own.ids[1:-1]).ids == own.ids


def test_a_tokenizer_without_special_tokens_puts_none_around_ids() -> None:
    bare = make_tokenizer(["a b c"], max_tokens=MAX_TOKENS)
    bare.post_processor = Sequence([])  # pyright: ignore[reportAttributeAccessIssue]

    assert TextTokeniser(bare).of_ids([A, B]).ids == (A, B)
