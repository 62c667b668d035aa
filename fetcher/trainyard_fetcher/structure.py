"""A SavedModel without a manifest: which files it must have, told by itself.

TensorFlow Serving loads a graph whose variables are missing, and fails at the first request
(tensorflow/serving#1086). So what the graph and the index of its variables name is asked for before.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath

from google.protobuf.message import DecodeError

from trainyard_fetcher.checkpoint_index import shard_name, shard_sizes
from trainyard_fetcher.saved_model_pb2 import SavedModel

GRAPH = PurePosixPath("saved_model.pb")
INDEX = PurePosixPath("variables/variables.index")
OPTIONAL = (PurePosixPath("fingerprint.pb"), PurePosixPath("assets.extra/tf_serving_warmup_requests"))
"""What a SavedModel may have, and nothing in it names."""
MOST_INDEX_BYTES = 64 * 2**20
MOST_GRAPH_BYTES = 2 * 2**30
"""A protocol buffer ends there."""


@dataclass(frozen=True, slots=True)
class Structure:
    """What a graph says of the files beside it.

    Attributes:
        has_variables: Whether loading restores variables.
        assets: Files that the graph reads while it is loaded.
    """

    has_variables: bool
    assets: tuple[PurePosixPath, ...]


def structure(saved_model: bytes) -> Structure:
    """Return what a saved_model.pb says of the files beside it.

    Raises:
        ValueError: it is no SavedModel, or names a file outside of it.
    """
    try:
        graphs = SavedModel.FromString(saved_model).meta_graphs
    except DecodeError as error:
        raise ValueError("it is not a SavedModel, or only a part of one") from error
    if not graphs:
        raise ValueError("it has no graph")
    names = {asset.filename for graph in graphs for asset in graph.asset_file_def}
    return Structure(any(graph.saver_def.restore_op_name for graph in graphs), tuple(sorted(map(_asset, names))))


def shards(index: bytes) -> Mapping[PurePosixPath, int]:
    """Return the files that an index of variables names, with the bytes they must at least have.

    Raises:
        ValueError: it is no such index.
    """
    sizes = shard_sizes(index)
    return {INDEX.parent / shard_name(number, len(sizes)): size for number, size in sizes.items()}


def parts(saved_model: bytes) -> Iterator[PurePosixPath]:
    """Yield the files that must be there beside the graph, but for shards, which the index names."""
    found = structure(saved_model)
    if found.has_variables:
        yield INDEX
    yield from found.assets


def _asset(name: str) -> PurePosixPath:
    path = PurePosixPath(name)
    if not name.isprintable() or not path.parts or path.is_absolute() or ".." in path.parts:
        raise ValueError(f"its asset {name!a:.200} is no file of it")
    return PurePosixPath("assets") / path
