"""What the trainer costs beside the same steps in a loop tuned by hand: `python benchmarks/overhead.py`.

The hand-made loop does what an expert would write for dense-100: rows in memory, hundreds of steps in the graph for
each call, loss and accuracy added up there, and nothing else. The trainer runs the same steps with its reports,
history, checkpoints and checks of every number. Both with XLA and without.

Ends with exit code 1 where the trainer is more than 2 % slower, or may be: a wide interval calls for more rounds.
"""

import argparse
import sys
import tempfile
from dataclasses import replace
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
from cases import CASES
from pairs import Turn, in_turns, ratio

from trainer import Settings, trainer_loop

AT_LEAST = 0.98
STEPS_PER_CALL = 512


def by_hand(connection: Connection, settings: Settings) -> None:
    """Train with a loop that knows its model and its rows."""
    from trainyard_trainer.devices import Devices

    Devices(seed=42)
    import keras
    import tensorflow as tf

    assert settings.case.keras is not None
    model, given = settings.case.keras(settings.data, settings.batch_size)
    x, y, size = tf.constant(given["x"]), tf.constant(given["y"]), settings.batch_size
    model.build(x.shape)
    optimizer = keras.optimizers.Adam()
    optimizer.build(model.trainable_variables)

    def step(which: Any) -> tuple[Any, Any]:
        rows, labels = tf.gather(x, which), tf.gather(y, which)
        with tf.GradientTape() as tape:
            answers = model(rows, training=True)[:, 0]
            losses = keras.losses.binary_crossentropy(labels[:, None], answers[:, None])
            loss = tf.reduce_mean(losses)
        optimizer.apply(tape.gradient(loss, model.trainable_variables), model.trainable_variables)
        return loss, tf.reduce_mean(tf.cast((answers > 0.5) == (labels > 0.5), tf.float32))

    @tf.function(jit_compile=bool(settings.fit["jitCompile"]), autograph=False)
    def run(order: Any, first: Any, steps: Any) -> Any:
        def body(i: Any, loss: Any, right: Any) -> Any:
            more = step(tf.gather(order, (first + i) * size + tf.range(size)))
            return i + 1, loss + more[0], right + more[1]

        start = (tf.constant(0), tf.constant(0.0), tf.constant(0.0))
        return tf.while_loop(lambda i, *_: i < steps, body, start, parallel_iterations=1)

    rng, turn, steps = np.random.default_rng(1), Turn(connection), x.shape[0] // size
    for _ in range(settings.rounds):
        turn.take()
        order = tf.constant(rng.permutation(x.shape[0]).astype(np.int32))
        loss = 0.0
        for first in range(0, steps, STEPS_PER_CALL):
            count = min(STEPS_PER_CALL, steps - first)
            loss += float(run(order, tf.constant(first), tf.constant(count))[1])
        turn.give(loss / steps)


def main() -> int:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description="Measure what the trainer adds to the same steps.")
    parser.add_argument("--rows", type=int, default=131_072)
    parser.add_argument("--rounds", type=int, default=60)
    parser.add_argument("--batch-size", type=int, default=32)
    arguments = parser.parse_args()
    case, good = CASES["dense-100"], True
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder, "dense-100.parquet")
        case.write(data, arguments.rows)
        plain = Settings(case, data, arguments.rounds, arguments.batch_size)
        for jit in (False, True):
            settings = replace(plain, fit={"precision": "float32", "jitCompile": jit})
            found = in_turns({"hand": by_hand, "trainer": trainer_loop}, settings, arguments.rounds)
            share = ratio(found["hand"].warm, found["trainer"].warm)
            fastest = arguments.rows / min(found["trainer"].warm)
            apart = abs(found["trainer"].losses[-1] - found["hand"].losses[-1])
            print(
                f"{'with' if jit else 'without'} XLA: trainer / by hand {share}; {fastest:,.0f} samples/s at best; "
                f"losses {apart:.4f} apart"
            )
            if share.low < AT_LEAST <= share.high:
                print(f"  UNDECIDED: {AT_LEAST} is within the interval; measure again with more --rounds")
            good &= share.low >= AT_LEAST
    print("good" if good else f"NOT GOOD: expected a ratio of at least {AT_LEAST} in the whole interval")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
