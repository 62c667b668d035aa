"""One loaded version."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from tensorflow.python.client.session import Session

from support.serving_client import Saved
from trainyard_modelserver.errors import Code, ServingError
from trainyard_modelserver.flags import Options
from trainyard_modelserver.metrics import Metrics
from trainyard_modelserver.model import Model, make_callable, session_config
from trainyard_modelserver.predict import Predictor
from trainyard_modelserver.slim import runtime

OPTIONS = Options()


@pytest.fixture
def model(saved: Saved) -> Iterator[Model]:
    model = Model("line", 1, str(saved.half_plus_two), OPTIONS, session_config(OPTIONS))
    yield model
    model.close()


def test_static_shapes_are_not_checked(model: Model) -> None:
    signature = model.signatures["serving_default"]
    feed, fetch = signature.inputs["x"].name, signature.outputs["y"].name
    for shape in ((3,), (2, 2), ()):
        (result,) = model.run({feed: np.ones(shape, np.float32)}, [fetch])
        np.testing.assert_array_equal(result, np.full(shape, 2.5))


def test_without_the_quick_way_the_plain_one_serves(saved: Saved) -> None:
    class PlainSession:
        """A session that has only what is public."""

        def __init__(self, session: Any) -> None:
            self.run = session.run

    tf = runtime()
    graph = tf.Graph()
    with Session(graph=graph) as session, graph.as_default():
        meta_graph = tf.SavedModelLoader(str(saved.half_plus_two)).load(session, ["serve"])
        signature = meta_graph.signature_def["serving_default"]
        names = [signature.inputs["x"].name], [signature.outputs["y"].name]
        quick, plain = (make_callable(each, *names, 1000) for each in (session, PlainSession(session)))
        x = np.array([1, 2], np.float32)
        np.testing.assert_array_equal(quick(x), plain(x))


def test_method_names_are_checked_where_that_is_asked_for(model: Model) -> None:
    predictor = Predictor(Metrics(), check_method_name=True)
    assert predictor.predict(model, "line", "", {"x": np.ones(1, np.float32)}).outputs["y"] == [2.5]
    with pytest.raises(ServingError) as raised:
        predictor.predict(model, "line", "__saved_model_init_op", {})
    assert raised.value.code is Code.INTERNAL
    assert raised.value.message == (
        "Expected prediction signature method_name to be one of {tensorflow/serving/predict, "
        "tensorflow/serving/classify, tensorflow/serving/regress}. Was: "
    )


@pytest.mark.parametrize(
    ("options", "threads"),
    [
        (Options(), (0, 0)),
        (Options(tensorflow_session_parallelism=3), (3, 3)),
        (Options(tensorflow_session_parallelism=3, tensorflow_intra_op_parallelism=2), (2, 0)),
        (Options(tensorflow_inter_op_parallelism=1), (0, 1)),
    ],
)
def test_the_flags_set_the_threads(options: Options, threads: tuple[int, int]) -> None:
    config = session_config(options)
    assert (config.intra_op_parallelism_threads, config.inter_op_parallelism_threads) == threads
