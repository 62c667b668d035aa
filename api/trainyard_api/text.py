"""How texts are read. The names are those of Keras' TextVectorization, Hashing, Conv1D and MultiHeadAttention."""

from typing import Literal

from pydantic import ConfigDict, Field

from trainyard_api.meta import ApiModel, rule, rules

DEFAULT_TOKENS = 20_000


class TextReading(ApiModel):
    """How texts become ids of words."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            rule(
                "!has(self.maxTokens) || !has(self.numBins)",
                "set maxTokens for a vocabulary or numBins for hashing, not both",
            ),
        )
    )
    standardize: Literal["lower_and_strip_punctuation", "lower", "strip_punctuation", "none"] = Field(
        default="lower_and_strip_punctuation", description="What is done to a text before it is split."
    )
    split: Literal["whitespace", "character"] = Field(
        default="whitespace", description="What counts as a word; character is for scripts without spaces."
    )
    max_tokens: int | None = Field(
        default=None,
        ge=3,
        le=1000000,
        description="Size of the vocabulary, with one place each for padding and unknown words; 20000 where absent.",
    )
    num_bins: int | None = Field(
        default=None, ge=2, le=16777216, description="Hash words into this many bins instead of learning a vocabulary."
    )
    output_sequence_length: int | None = Field(
        default=None,
        ge=1,
        le=65536,
        description="Words a model looks at, from the start of a text; where absent, what 95 % of the training texts "
        "have, and 512 at most.",
    )

    @property
    def tokens(self) -> int:
        """Number of different ids."""
        return self.num_bins or self.max_tokens or DEFAULT_TOKENS


class Text(TextReading):
    """How family textClassifier reads texts, and the size of its network."""

    embedding_dim: int = Field(default=64, ge=1, le=4096, description="Length of the vector learnt for each word.")
    layer: Literal["globalAveragePooling1D", "conv1D", "multiHeadAttention"] = Field(
        default="conv1D",
        description="What turns the words' vectors into one: their mean (fast, blind to the order of words), "
        "patterns of neighbouring words, or words that look at all others.",
    )
    filters: int = Field(default=128, ge=1, le=4096, description="Patterns that conv1D learns.")
    kernel_size: int = Field(default=5, ge=1, le=255, description="Words that a pattern of conv1D spans.")
    num_heads: int = Field(default=4, ge=1, le=64, description="Heads of multiHeadAttention.")
