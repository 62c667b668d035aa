"""Small programs that learn what `support.lessons` teaches, within seconds: each changes a spec for its data."""

from collections.abc import Callable

from support.trainer_runs import SpecBuilder

Learner = Callable[[SpecBuilder], SpecBuilder]
CALM = {"name": "adam", "learningRate": 0.005}


def learning_quickly(spec: SpecBuilder) -> SpecBuilder:
    """Learn from numbers and categories by whatever family the spec has."""
    return spec.with_fit(epochs=40, optimizer={"name": "adam", "learningRate": 0.03})


def a_cnn(spec: SpecBuilder) -> SpecBuilder:
    """Learn from images."""
    spec = spec.with_keras(family="cnn", image={"height": 24, "width": 24, "filters": [8, 16]}, hidden=[16])
    return spec.with_fit(epochs=12, optimizer=CALM)


def a_text_classifier(spec: SpecBuilder) -> SpecBuilder:
    """Learn from texts."""
    spec = spec.with_keras(family="textClassifier", text={"embeddingDim": 32, "filters": 32}, hidden=[16])
    return spec.with_fit(epochs=8, batchSize=32, optimizer={"name": "adam", "learningRate": 0.01})


def an_audio_classifier(spec: SpecBuilder) -> SpecBuilder:
    """Learn from sounds."""
    audio = {"filters": [8, 16, 32], "numMelBins": 40}
    spec = spec.with_keras(family="audioClassifier", task="multiclassClassification", audio=audio, hidden=[32])
    return spec.with_fit(epochs=12, batchSize=16, optimizer=CALM)
