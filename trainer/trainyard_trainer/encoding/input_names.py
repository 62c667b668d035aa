"""Signature inputs named exactly like the columns, whatever they are called.

TensorFlow takes the names of a signature's inputs from the parameters of a function, so `mean radius` or `größe (cm)`
cannot be saved. Such a column gets a plain name while the model is saved, and its own name back in the saved file:
there a signature's inputs are keys of a map, which may be any text.
"""

import keyword
import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from tensorflow.core.protobuf import saved_model_pb2

_PLAIN = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
_RESERVED = ("self",)


def plain_names(columns: Iterable[str]) -> dict[str, str]:
    """Return, for each column, a name that a signature can be saved with: its own where possible."""
    names = list(columns)
    taken = {name.lower() for name in names}  # TensorFlow takes `Age` and `age` for one
    plain: dict[str, str] = {}
    used: set[str] = set()
    for number, name in enumerate(names):
        plain[name] = name
        if not _PLAIN.fullmatch(name) or keyword.iskeyword(name) or name in _RESERVED or name.lower() in used:
            plain[name] = next(free for i in range(len(names) + 1) if (free := f"column_{number}_{i}") not in taken)
        used.add(plain[name].lower())
    return plain


def bytes_input(column: str) -> str:
    """Return the input's name for a column of bytes: TensorFlow Serving's REST interface knows them by the suffix."""
    return column if column.endswith("_bytes") else f"{column}_bytes"


def restore_names(folder: Path, signature: str, names: Mapping[str, str]) -> None:
    """Give the inputs of a saved signature their own names back; `names` maps those to the plain ones."""
    own = {plain: name for name, plain in names.items() if plain != name}
    if not own:
        return
    path = folder / "saved_model.pb"
    model = saved_model_pb2.SavedModel.FromString(path.read_bytes())
    for graph in model.meta_graphs:
        inputs = graph.signature_def[signature].inputs
        for plain, name in own.items():
            inputs[name].CopyFrom(inputs[plain])
            del inputs[plain]
        # TensorFlow's loader for Python calls the signature by these.
        for node in graph.object_graph_def.nodes:
            if node.WhichOneof("kind") == "bare_concrete_function":
                keywords = node.bare_concrete_function.argument_keywords
                keywords[:] = [own.get(keyword, keyword) for keyword in keywords]
    path.write_bytes(model.SerializeToString(deterministic=True))
    (folder / "fingerprint.pb").unlink(missing_ok=True)  # it is that of the file before; readers do without
