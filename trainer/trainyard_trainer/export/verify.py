"""Checks an exported model in a fresh process that has TensorFlow alone, as a server has.

Run as a program it reads JSON documents from stdin, one a line (`path`, `inputs`, `expected`), and prints one for each
to stdout (`error`, null where all is well, and `operations`, how many kinds the graph uses). That it loads shows that
all of them are TensorFlow's own; which of those a model may have, operations.py says. Bytes are written as TensorFlow
Serving's REST interface takes them, {"b64": ...}. It is started early, so that TensorFlow is loaded by the time the
model is written.
"""

import base64
import json
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from trainyard_api.names import EXAMPLES_INPUT, EXAMPLES_SIGNATURE, SIGNATURE, TEXT_SIGNATURE
from trainyard_trainer.errors import ExportFailed, one_line
from trainyard_trainer.signals import end_with_parent

if TYPE_CHECKING:
    from tensorflow.core.framework import graph_pb2

TIMEOUT_SECONDS = 600
_RELATIVE, _ABSOLUTE = 1e-4, 1e-5


class Verifier:
    """The fresh process. Leaving the context ends it."""

    def __init__(self) -> None:
        # No GPU: the trainer may have taken all of its memory.
        environment = os.environ | {"CUDA_VISIBLE_DEVICES": "-1", "TF_CPP_MIN_LOG_LEVEL": "3"}
        self._noise = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as the process
        self._process = subprocess.Popen(
            [sys.executable, "-m", "trainyard_trainer.export.verify"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._noise,
            env=environment,
        )

    @property
    def alive(self) -> bool:
        """Whether it can be asked still."""
        return self._process.poll() is None

    def __enter__(self) -> "Verifier":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.kill()
        with suppress(BrokenPipeError):  # a process that has ended early takes no more
            self._process.communicate()
        self._noise.close()

    def check(self, model: Path, inputs: Mapping[str, list[Any]], expected: Mapping[str, object]) -> int:
        """Have the model answer `inputs`; returns how many kinds of operation its graph uses.

        Raises:
            ExportFailed: it cannot be loaded, or answers otherwise than expected.
        """
        request = json.dumps({"path": str(model), "inputs": inputs, "expected": expected}, default=_in_base64)
        if not (answer := self._ask(request.encode())):
            self._noise.seek(-min(800, self._noise.seek(0, os.SEEK_END)), os.SEEK_END)
            noise = one_line(self._noise.read().decode(errors="replace"))
            raise ExportFailed(f"the exported model cannot be loaded by TensorFlow alone: {noise}")
        result = json.loads(answer)
        if result["error"]:
            raise ExportFailed(f"the exported model does not answer like the trained one: {result['error']}")
        return int(result["operations"])

    def _ask(self, request: bytes) -> bytes:
        """Return the line that the process answers, or nothing where it has ended."""
        assert self._process.stdin
        assert self._process.stdout
        late = threading.Event()

        def give_up() -> None:
            late.set()
            self._process.kill()

        overdue = threading.Timer(TIMEOUT_SECONDS, give_up)
        overdue.start()
        try:
            with suppress(BrokenPipeError):
                self._process.stdin.write(request + b"\n")
                self._process.stdin.flush()
            answer = self._process.stdout.readline()
        finally:
            overdue.cancel()
        if late.is_set():
            raise ExportFailed(f"the exported model was not loaded within {TIMEOUT_SECONDS} s")
        return answer


def _in_base64(content: bytes) -> dict[str, str]:
    return {"b64": base64.b64encode(content).decode("ascii")}


def _from_base64(document: dict[str, Any]) -> bytes | dict[str, Any]:
    return base64.b64decode(document["b64"]) if document.keys() == {"b64"} else document


def difference(answers: Mapping[str, list[Any]], expected: Mapping[str, list[Any]]) -> str | None:
    """Return what differs between named columns of answers, or nothing.

    Numbers may differ by rounding. Texts may differ in a tenth of the rows where all numbers agree: where two classes
    are equally likely, rounding decides.
    """
    import numpy as np

    if sorted(answers) != sorted(expected):
        return f"it answers {sorted(answers)}, expected {sorted(expected)}"
    for name, wanted in expected.items():
        if len(answers[name]) != len(wanted):
            return f"{name} has {len(answers[name])} rows, expected {len(wanted)}"
        if isinstance(wanted[0][0] if isinstance(wanted[0], list) else wanted[0], str):
            same = np.mean([one == other for one, other in zip(answers[name], wanted, strict=True)])
            if same < 0.9 or (len(wanted) == 1 and same < 1):
                return f"{name} is the same in only {same:.0%} of the rows"
        elif not np.allclose(answers[name], wanted, rtol=_RELATIVE, atol=_ABSOLUTE * _scale(wanted)):
            worst = float(np.max(np.abs(np.asarray(answers[name]) - np.asarray(wanted))))
            return f"{name} differs by up to {worst:.3g}"
    return None


def _scale(values: list[Any]) -> float:
    import numpy as np

    return max(1.0, float(np.max(np.abs(values))))


def main() -> None:
    """Serve requests from stdin until it ends."""
    end_with_parent()
    sys.modules["keras"] = None  # type: ignore[assignment]  # a server has none: fail rather than lean on it
    import tensorflow  # noqa: F401 - while the first request is still being made

    for line in sys.stdin:
        print(json.dumps(_answer(json.loads(line, object_hook=_from_base64))), flush=True)
    os._exit(0)


def _answer(request: Mapping[str, Any]) -> dict[str, object]:
    import tensorflow as tf

    from trainyard_trainer.export.text_inputs import as_texts
    from trainyard_trainer.export.tf_examples import serialize

    # A session loads the graph, restores the variables and feeds by signature exactly as TensorFlow Serving does.
    with tf.compat.v1.Session(graph=tf.Graph()) as session:
        loaded = tf.compat.v1.saved_model.load(session, ["serve"], request["path"])

        def answer(name: str, inputs: Mapping[str, list[Any]]) -> dict[str, list[Any]]:
            signature = loaded.signature_def[name]
            feeds = {tensor.name: inputs[name] for name, tensor in signature.inputs.items()}
            values = session.run({name: tensor.name for name, tensor in signature.outputs.items()}, feeds)
            return {name: plain(value.tolist()) for name, value in values.items()}

        inputs = request["inputs"]
        everything = answer(SIGNATURE, inputs)
        error = difference(everything, request["expected"]) or difference(
            answer(SIGNATURE, _first(inputs)), _first(everything)
        )
        if EXAMPLES_SIGNATURE in loaded.signature_def and not error:
            error = difference(answer(EXAMPLES_SIGNATURE, {EXAMPLES_INPUT: serialize(inputs)}), everything)
            error = error and f"{EXAMPLES_SIGNATURE}: {error}"
        if TEXT_SIGNATURE in loaded.signature_def and not error:
            error = difference(answer(TEXT_SIGNATURE, as_texts(inputs)), everything)
            error = error and f"{TEXT_SIGNATURE}: {error}"
    return {"error": error, "operations": len(_operations(loaded.graph_def))}


def _operations(graph: "graph_pb2.GraphDef") -> set[str]:
    functions = [node.op for function in graph.library.function for node in function.node_def]
    return {node.op for node in graph.node} | set(functions)


def _first(columns: Mapping[str, list[Any]]) -> dict[str, list[Any]]:
    return {name: column[:1] for name, column in columns.items()}


def plain(value: Any) -> Any:
    """Return what `tolist` gives with texts instead of bytes, however deep they are."""
    if isinstance(value, list):
        return [plain(item) for item in value]
    return value.decode() if isinstance(value, bytes) else value


if __name__ == "__main__":
    main()
