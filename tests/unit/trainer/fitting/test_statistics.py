"""Which of a model's variables its layers change by themselves."""

import keras

from trainyard_trainer.fitting.statistics import statistics_of


def test_moving_averages_are_statistics_but_not_those_of_frozen_layers_nor_the_states_of_random_generators() -> None:
    backbone = keras.Sequential([keras.layers.Dense(3), keras.layers.BatchNormalization()])
    layers = [backbone, keras.layers.Dropout(0.5), keras.layers.BatchNormalization(name="own"), keras.layers.Dense(1)]
    model = keras.Sequential([keras.Input((4,)), *layers])

    whole = [each.path for each in statistics_of(model)]
    backbone.trainable = False
    rest = [each.path for each in statistics_of(model)]

    assert len(whole) == 4
    assert rest == whole[2:]
    assert [each.split("/")[-2:] for each in rest] == [["own", "moving_mean"], ["own", "moving_variance"]]
