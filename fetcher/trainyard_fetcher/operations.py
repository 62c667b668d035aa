"""Which operations a served model may be made of: those that compute from its inputs and weights, and nothing else.

A stock TensorFlow Serving registers every operation of TensorFlow's core. So a graph with `ReadFile` runs there, with
the rights of the server and the paths of its pod. `allowed_operations.txt` lists the harmless operations, and
`make operations` writes it by the rule in tools/operations.py. An operation that the list does not know is refused.

What counts is what a server can be made to run: everything that leads to a signature's outputs, and what runs while the
model is loaded (its initialization and the restoring of its weights). Saving is in every SavedModel, too, and nothing
leads there.
"""

from collections.abc import Iterable, Iterator
from functools import cache
from importlib.resources import files

from google.protobuf.message import DecodeError

from trainyard_fetcher.saved_model_pb2 import GraphDef, MetaGraphDef, NodeDef, SavedModel, TensorInfo

_INIT_COLLECTIONS = ("saved_model_main_op", "legacy_init_op")
_RESTORING = frozenset({"RestoreV2"})
"""Reads the weights, which TensorFlow Serving tells where they are."""


def refused_operations(saved_model: bytes) -> list[str]:
    """Return the operations that a server would run for this saved_model.pb and that no model may have, sorted.

    Raises:
        ValueError: the content is no SavedModel.
    """
    try:
        graphs = SavedModel.FromString(saved_model).meta_graphs
    except DecodeError as error:
        raise ValueError("it is not a SavedModel") from error
    refused: set[str] = set()
    for graph in graphs:
        served = _reachable(graph.graph_def, _served(graph))
        restored = _reachable(graph.graph_def, [graph.saver_def.restore_op_name])
        refused |= (served | (restored - _RESTORING)) - _allowed()
    return sorted(refused)


def refused_in_graph(graph: bytes) -> list[str]:
    """Return the operations of a serialized GraphDef, those of all its nodes, that no model may have, sorted."""
    content = GraphDef.FromString(graph)
    return sorted(_reachable(content, [node.name for node in content.node]) - _allowed())


@cache
def _allowed() -> frozenset[str]:
    return frozenset((files("trainyard_fetcher") / "allowed_operations.txt").read_text(encoding="utf-8").split())


def _served(graph: MetaGraphDef) -> Iterator[str]:
    """Yield the tensors and operations by which a server enters the graph."""
    for signature in graph.signature_def.values():
        for tensor in signature.outputs.values():
            yield from _tensor_names(tensor)
    for collection in _INIT_COLLECTIONS:
        yield from graph.collection_def[collection].node_list.value


def _tensor_names(tensor: TensorInfo) -> Iterator[str]:
    sparse = tensor.coo_sparse
    yield from (
        tensor.name, sparse.values_tensor_name, sparse.indices_tensor_name, sparse.dense_shape_tensor_name
    )  # fmt: skip
    for component in tensor.composite_tensor.components:
        yield from _tensor_names(component)


def _reachable(graph: GraphDef, tensors: Iterable[str]) -> set[str]:
    """Return the operations that a graph runs for some tensors, those inside of functions too."""
    nodes = {node.name: node for node in graph.node}
    functions = {function.signature.name: function for function in graph.library.function}
    seen = {_node_name(tensor) for tensor in tensors} & nodes.keys()
    pending = [nodes[name] for name in seen]
    operations, called = set[str](), set[str]()
    while pending:
        node = pending.pop()
        operations.add(node.op)
        for name in ({_node_name(tensor) for tensor in node.input} & nodes.keys()) - seen:
            seen.add(name)
            pending.append(nodes[name])
        for name in ({node.op, *_functions_of(node)} & functions.keys()) - called:
            called.add(name)
            pending += functions[name].node_def  # whose inputs are all in the function
    return operations - functions.keys()


def _node_name(tensor: str) -> str:
    """Return the node of a tensor such as `add:0`, or of a control input such as `^add`."""
    return tensor.removeprefix("^").partition(":")[0]


def _functions_of(node: NodeDef) -> set[str]:
    """Return the functions that an operation calls, such as the branches of a condition or the body of a loop."""
    return {
        function.name for value in node.attr.values() for function in (value.func, *value.list.func) if function.name
    }
