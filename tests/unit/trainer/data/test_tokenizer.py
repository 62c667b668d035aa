"""What becomes a word, which words a model knows, and how many of them it looks at."""

from typing import Any

import pytest

from trainyard_api.text import TextReading
from trainyard_trainer.data.tokenizer import Tokenizer, VocabularyBuilder
from trainyard_trainer.errors import BadInput


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", []),
        (" \t\n ", []),
        ("?! … —", []),
        ("Hello, World!", ["hello", "world"]),
        ("don't stop.Now", ["dont", "stopnow"]),
        ("“Quoted” ¿qué? «Ça»", ["quoted", "qué", "ça"]),
        ("ПРИВЕТ Ärger ΟΔΟΣ", ["привет", "ärger", "οδοσ"]),
        ("İstanbul STRASSE ẞ", ["İstanbul", "strasse", "ß"]),
        ("5€ + $7 = a_b", ["5€", "7", "ab"]),
        ("no\u00a0break\u3000wide\u2028line\x00zero\ufeffmark", ["no", "break", "wide", "line", "zero", "mark"]),
        ("broken \ufffdbytes", ["broken", "bytes"]),
        ("我爱你。好", ["我爱你好"]),
        ("😀 😀!", ["😀", "😀"]),
    ],
)
def test_a_text_is_cut_at_white_space_in_lower_case_without_punctuation(text: str, words: list[str]) -> None:
    assert Tokenizer(TextReading()).words(text) == words


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"standardize": "lower"}, ["don't", "be", "a-b!"]),
        ({"standardize": "strip_punctuation"}, ["Dont", "Be", "aB"]),
        ({"standardize": "none"}, ["Don't", "Be", "a-B!"]),
        ({"split": "character"}, list("dontbeab")),
    ],
)
def test_how_texts_are_standardised_and_split_can_be_set(settings: dict[str, str], words: list[str]) -> None:
    assert Tokenizer(TextReading.model_validate(settings)).words("Don't Be a-B!") == words


def counted(*texts: str, most: int = 1000, **settings: object) -> VocabularyBuilder:
    counter = VocabularyBuilder("review", TextReading.model_validate(settings), most=most)
    counter.add(texts)
    return counter


def test_the_vocabulary_has_the_most_frequent_words_first_and_equally_frequent_ones_by_text() -> None:
    counter = counted("b a c c", "c a b d", "e")

    assert counter.vocabulary() == ("c", "a", "b")
    assert counted("b a c c", "c a b d", maxTokens=4).vocabulary() == ("c", "a")
    assert counted("a b", "a c", numBins=100).vocabulary() == ()


def test_memory_is_bounded_and_frequent_words_survive() -> None:
    texts = [f"common word{i} other{i // 50}" for i in range(2000)]

    counter = counted(*texts, most=300)

    assert counter.vocabulary()[0] == "common"
    assert len(counter.vocabulary()) <= 300
    assert counter.vocabulary() == counted(*texts, most=300).vocabulary()


@pytest.mark.parametrize(
    ("texts", "settings", "length"),
    [
        (["w"] * 95 + ["w " * 40] * 5, {}, 1),
        (["w"] * 94 + ["w " * 40] * 6, {}, 40),
        (["w " * 2000, "v"], {}, 512),
        (["", "", "a a"], {"outputSequenceLength": 7}, 7),
        (["a b", "", ""] * 50, {"split": "character"}, 2),
    ],
)
def test_few_texts_are_cut_off(texts: list[str], settings: dict[str, Any], length: int) -> None:
    assert counted(*texts, **settings).length() == length


@pytest.mark.parametrize(
    ("texts", "words"),
    [
        (["good film"] * 3, "column 'review' is the same in every row ('good film')"),
        (["", "", ""], "column 'review' is the same in every row ('')"),
        ([f"u-{i}" for i in range(9)], "column 'review' has no word that occurs twice in the training rows (such as"),
        (["!", "?", "..."], "column 'review' has no word that occurs twice"),
    ],
)
@pytest.mark.parametrize("settings", [{}, {"numBins": 50}])
def test_texts_without_anything_to_learn_from_are_refused(
    texts: list[str], words: str, settings: dict[str, Any]
) -> None:
    with pytest.raises(BadInput, match=r"name the column with the texts in data\.features") as refused:
        counted(*texts, **settings).vocabulary()
    assert words in str(refused.value)
