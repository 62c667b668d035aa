"""Texts become the same ids in the graph, in Keras' layers and where the words are learnt."""

from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from trainyard_api.text import TextReading
from trainyard_trainer.data.tokenizer import FIRST, UNKNOWN, Tokenizer
from trainyard_trainer.encoding.texts import Vectorizer

WORDS = ("the", "dont", "naïve", "a", "ab", "привет", "x1")
EDGES = [
    "",
    "   ",
    "The THE the",
    "don't, \t a--b\nx1!",
    "under_score (a) [ab] {x1} <the> a|b ~ ^ ` \\ / @ # $ % & * + = : ; \" '",
    "word " * 30,
]


def ids(vectorizer: Vectorizer, texts: list[Any]) -> list[list[int]]:
    return [[each for each in row if each] for row in vectorizer(tf.constant(texts)).numpy().tolist()]


@pytest.mark.parametrize("standardize", ["lower_and_strip_punctuation", "lower", "strip_punctuation", "none"])
@pytest.mark.parametrize("split", ["whitespace", "character"])
def test_ids_are_those_of_keras_for_texts_in_ascii(standardize: str, split: str) -> None:
    text = TextReading(standardize=standardize, split=split)  # type: ignore[arg-type]
    layer = keras.layers.TextVectorization(
        standardize=None if standardize == "none" else standardize,
        split=split,
        vocabulary=list(WORDS),
        output_sequence_length=12,
    )
    # Keras counts a space as a character; here it only ends a word.
    texts = [each.replace(" ", "").strip() for each in EDGES] if split == "character" else EDGES
    texts = [each.replace("\t", "").replace("\n", "") for each in texts] if split == "character" else texts

    ours = Vectorizer(text, WORDS, 12)(tf.constant(texts))

    np.testing.assert_array_equal(ours, layer(tf.constant(texts)))
    assert ours.dtype == tf.int32


def test_hashed_ids_are_those_of_keras() -> None:
    words = ["the", "don't", "привет", "x1"]
    layer = keras.layers.Hashing(num_bins=50, mask_value="")

    found = Vectorizer(TextReading(standardize="none", num_bins=50), (), 4)(tf.constant([" ".join(words), "x1"]))

    np.testing.assert_array_equal(found, [layer(tf.constant(words)), layer(tf.constant(["x1", "", "", ""]))])


@pytest.mark.parametrize(
    "text",
    [
        TextReading(),
        TextReading(split="character"),
        TextReading(standardize="none"),
        TextReading(standardize="lower", split="character"),
    ],
    ids=repr,
)
@settings(max_examples=40, deadline=None)
@given(st.lists(st.text() | st.binary() | st.sampled_from([*WORDS, *EDGES]).map(str.upper), min_size=1, max_size=5))
def test_words_are_learnt_as_they_are_looked_up(text: TextReading, texts: list[str | bytes]) -> None:
    raw = [each if isinstance(each, bytes) else each.encode("utf-8", "replace") for each in texts]
    words = [Tokenizer(text).words(each.decode("utf-8", "replace")) for each in raw]
    vocabulary = tuple(dict.fromkeys(word for row in words for word in row)) or ("none",)

    found = ids(Vectorizer(text, vocabulary, 200), raw)

    assert found == [[FIRST + vocabulary.index(word) for word in row] for row in words]


def test_words_beyond_the_vocabulary_are_unknown_and_long_texts_are_cut_off() -> None:
    found = Vectorizer(TextReading(), WORDS, 3)(tf.constant(["the zebra", "", "a b " * 1000, b"\xff\xfe the \x80"]))

    assert found.numpy().tolist() == [[FIRST, UNKNOWN, 0], [0, 0, 0], [FIRST + 3, UNKNOWN, FIRST + 3], [FIRST, 0, 0]]
