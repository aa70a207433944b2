from pathlib import Path

from export.encoder_variants.parity_gate import GateTexts
from service.contract.tokens import TextTokeniser
from service.encoder import Encoder
from tests.benchmarks.encoder_variants import PLAIN, TABLE_HEAD, measure, row_of
from tests.tiny import make_tokenizer, write_encoder

TITLES = ("red shoe", "blue shoe", "green hat", "red hat")


def test_the_first_form_is_what_the_others_are_compared_with(tmp_path: Path) -> None:
    tokenizer = make_tokenizer(TITLES)
    tokeniser = TextTokeniser(tokenizer)
    forms: dict[str, tuple[Encoder, int]] = {}
    for name, seed in ((PLAIN, 0), ("another", 1)):
        path = tmp_path / f"{name}.onnx"
        write_encoder(path, vocabulary_size=tokenizer.get_vocab_size(), seed=seed)
        forms[name] = (Encoder(path, tokeniser, workers=1), path.stat().st_size)
    texts = tokeniser(TITLES)
    asked = GateTexts(texts, texts, [frozenset({row}) for row in range(len(texts))])

    figures = measure(forms, asked, rounds=1)

    plain, other = figures[PLAIN], figures["another"]
    assert set(plain["speed_ratio"].values()) == {1.0}
    assert plain["at"]["0.9"]["changed_decisions"] == 0
    assert plain["at"]["0.9"]["recall_at_10"] == 1
    assert other["at"]["0.9"]["queries"] == 4
    assert len(row_of(PLAIN, plain)) == len(TABLE_HEAD)
