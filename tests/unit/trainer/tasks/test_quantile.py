"""A training that predicts a quantile of the label instead of its mean."""

from pathlib import Path

import numpy as np
import pytest

from support.trainer_fits import fitted
from support.trainer_runs import a_spec
from trainyard_trainer.fitting.steps import LABELS, as_block


@pytest.mark.parametrize("share", [0.1, 0.9])
def test_that_share_of_the_labels_is_below_the_answer(share: float, tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    a = rng.uniform(-1, 1, 2000)
    label = 100 + 20 * a + 10 * rng.normal(size=2000)
    rows = "".join(f"{one:.4f},{other:.4f}\n" for one, other in zip(a, label, strict=True))
    (tmp_path / "t.csv").write_text(f"a,label\n{rows}")
    spec = a_spec(tmp_path / "t.csv", task="regression").with_keras(family="linear")
    spec = spec.with_fit(epochs=20, batchSize=32, loss="quantile", quantile=share)

    done = fitted(spec, tmp_path)

    held_back = done.prepared.profile.kept.validation
    assert held_back is not None
    block = as_block(held_back, done.trained.encoder.encode)
    labels = block.pop(LABELS).numpy()
    answers = done.trained.task.serve(done.trained.model(block, training=False))["value"].numpy()
    assert np.mean(labels < answers) == pytest.approx(share, abs=0.05)
    assert done.trained.end.metrics["val_loss"] < 3  # in the unit of the label: 1.75 by the noise alone
