"""Small SavedModels to serve, and a server process to serve them."""

import os
import random
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import tensorflow as tf


class _Line(tf.Module):  # type: ignore[misc]
    def __init__(self, slope: float, offset: float) -> None:
        super().__init__()
        self.slope, self.offset = tf.Variable(slope), tf.Variable(offset)

    @tf.function(input_signature=[tf.TensorSpec([None], tf.float32, name="x")])  # type: ignore[untyped-decorator]
    def predict(self, x: Any) -> Any:
        return {"y": self.slope * x + self.offset}


class _Mixed(tf.Module):  # type: ignore[misc]
    """Several inputs and outputs of several types; the table must be filled when it is loaded."""

    def __init__(self) -> None:
        super().__init__()
        colours = tf.lookup.KeyValueTensorInitializer(["red", "green"], tf.constant([1, 2], tf.int64))
        self.colours = tf.lookup.StaticHashTable(colours, -1)

    @tf.function(  # type: ignore[untyped-decorator]
        input_signature=[
            tf.TensorSpec([None], tf.string, name="colour"),
            tf.TensorSpec([None], tf.int64, name="count"),
            tf.TensorSpec([None], tf.bool, name="flag"),
            tf.TensorSpec([None, 2], tf.float32, name="size"),
        ]
    )
    def predict(self, colour: Any, count: Any, flag: Any, size: Any) -> Any:
        return {
            "colour_bytes": colour,
            "colour_text": tf.strings.upper(colour),
            "id": self.colours.lookup(colour),
            "next": count + 1,
            "no": tf.logical_not(flag),
            "size": size * 2.0,
        }

    @tf.function(input_signature=[tf.TensorSpec([None], tf.float32, name="x")])  # type: ignore[untyped-decorator]
    def total(self, x: Any) -> Any:
        return {"total": tf.reduce_sum(x)}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.float16, name="x")])  # type: ignore[untyped-decorator]
    def half(self, x: Any) -> Any:
        return {"y": x}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.int64, name="steps")])  # type: ignore[untyped-decorator]
    def slow(self, steps: Any) -> Any:
        """Count, one by one."""
        return {"counted": tf.while_loop(lambda n: tf.reduce_all(n < steps), lambda n: (n + 1,), (steps * 0,))[0]}


def save_line(path: Path, slope: float = 0.5, offset: float = 2.0) -> Path:
    """y = slope * x + offset; by default the known half_plus_two."""
    line = _Line(slope, offset)
    return _save(line, path, {"serving_default": line.predict})


def save_mixed(path: Path) -> Path:
    """A model with signatures serving_default (mixed types), total (a scalar), half and slow."""
    mixed = _Mixed()
    names = {"serving_default": mixed.predict, "total": mixed.total, "half": mixed.half, "slow": mixed.slow}
    return _save(mixed, path, names)


def publish(source: Path, target: Path) -> None:
    """Bring a saved model to another place, which knows nothing or all of it."""
    target.parent.mkdir(parents=True, exist_ok=True)
    staging = Path(tempfile.mkdtemp(prefix=".staging-", dir=target.parent))
    shutil.copytree(source, staging, dirs_exist_ok=True)
    staging.rename(target)


def _save(module: Any, path: Path, signatures: dict[str, Any]) -> Path:
    tf.saved_model.save(module, str(path), signatures=signatures)
    return path


def loopback_address() -> str:
    """An address of this machine that is most likely nobody's yet, so that ports need not be found."""
    draw = random.SystemRandom().randrange  # trainings in other tests set the seed of `random`, alike in each process
    return f"127.{draw(128, 255)}.{draw(1, 255)}.{draw(1, 255)}"


def start_server(*arguments: str, address: str) -> subprocess.Popen[str]:
    """Start the server's process on an address."""
    return subprocess.Popen(
        [sys.executable, "-m", "trainyard_modelserver", *arguments],
        env={**os.environ, "DEVCLUSTER_POD_IP": address},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
