"""How sound is read. The names are those of Keras' MelSpectrogram and Conv2D."""

from typing import Annotated

from pydantic import ConfigDict, Field

from trainyard_api.meta import ApiModel, rule, rules

Filters = Annotated[int, Field(ge=1, le=4096)]


class AudioReading(ApiModel):
    """How WAV files become spectrograms."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            rule(
                "!has(self.maxFreq) || self.maxFreq > self.minFreq", "maxFreq must be higher than minFreq", ".maxFreq"
            ),
            rule(
                "!has(self.maxFreq) || !has(self.samplingRate) || self.maxFreq <= double(self.samplingRate) / 2.0",
                "maxFreq can be half of samplingRate at most",
                ".maxFreq",
            ),
        )
    )
    sampling_rate: int | None = Field(
        default=None,
        ge=1000,
        le=384000,
        description="Samples a second; sound with another rate is converted. The most frequent rate of the training "
        "files where absent.",
    )
    seconds: float | None = Field(
        default=None,
        gt=0,
        le=600,
        description="How much of a sound a model hears, from its start; shorter ones are followed by silence. Where "
        "absent, the length that 95 % of the training files do not exceed, and 10 at most.",
    )
    fft_length: int | None = Field(
        default=None,
        ge=16,
        le=65536,
        description="Samples of each window; the power of two that covers 0.04 s where absent.",
    )
    sequence_stride: int | None = Field(
        default=None, ge=1, le=65536, description="Samples from one window to the next; fftLength / 4 where absent."
    )
    num_mel_bins: int = Field(default=64, ge=8, le=512, description="Bands that the frequencies are summed into.")
    min_freq: float = Field(default=20, ge=0, le=192000, description="Lowest frequency that counts, in Hz.")
    max_freq: float | None = Field(
        default=None,
        gt=0,
        le=192000,
        description="Highest frequency that counts, in Hz; samplingRate / 2 where absent.",
    )


class Audio(AudioReading):
    """How family audioClassifier reads WAV files, and the size of its network."""

    filters: list[Filters] = Field(
        default=[16, 32, 64],
        min_length=1,
        max_length=8,
        description="Filters of each convolution; each halves the spectrogram in both directions.",
    )
