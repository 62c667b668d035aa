"""Which operations a model may be made of: those that compute from its inputs and weights, and nothing else.

A stock TensorFlow Serving registers every operation of TensorFlow's core, so that a graph with `ReadFile` runs there,
with the rights of the server and the paths of its pod. That an operation is of the core is shown elsewhere, by loading
the model with TensorFlow alone (see verify.py); what it does is decided here:

* One that TensorFlow marks as stateful may act on something else than its outputs. Only those of `_STATEFUL` are
  allowed: variables, tables in memory, control flow, random numbers. All others are refused, those of a later
  TensorFlow too.
* The others, more than a thousand, only compute, and a list of them would have to follow every release of TensorFlow.
  Refused are the few that are not marked and yet read files or data sets, call Python, or end the process.

What saves and restores the weights (`SaveV2`, `RestoreV2`) is in every SavedModel. No signature leads there, and
only what the signatures lead to counts; the initialization of the tables is one of them.
"""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tensorflow.core.protobuf import saved_model_pb2
from tensorflow.python.framework import op_def_registry

from trainyard_trainer.errors import BadInput, listed

_STATEFUL = re.compile(
    r"VarHandleOp|ReadVariableOp|VariableShape|VarIsInitializedOp|Assign(Add|Sub)?VariableOp|DisableCopyOnRead"
    r"|Resource(Gather|GatherNd|ScatterAdd|ScatterUpdate|StridedSliceAssign)|TemporaryVariable|DestroyResourceOp"
    r"|(Anonymous)?(Mutable|MutableDense)?HashTable(V2)?|InitializeTableV2|LookupTable(Find|Import|Size)V2"
    r"|StatefulPartitionedCall|If|Case|While|DeviceIndex|Assert|CheckNumerics(V2)?|GuaranteeConst|Empty"
    r"|TensorArray(Close|Concat|Gather|Read|Scatter|Size|Split|Write)?V3|CudnnRNN(V2|V3)?|IsTensorFloat32Enabled"
    r"|Random(Uniform|UniformInt|StandardNormal|Shuffle|Gamma|PoissonV2)|(Parameterized)?TruncatedNormal|Multinomial"
    r"|StatelessRandomGetAlg|Rng(ReadAndSkip|Skip)|Stateful(Uniform|UniformInt|UniformFullInt|RandomBinomial)"
    r"|Stateful(StandardNormalV2|TruncatedNormal)"
)
_ACTING = re.compile(
    r"ReadFile|MatchingFiles|GenerateVocabRemapping|(De|En)codeProto(V2)?|InitializeTableFromTextFile"  # read files
    r"|Reader(Read|ReadUpTo|Reset|RestoreState|SerializeState|NumRecordsProduced|NumWorkUnitsCompleted)"
    r"|.*Dataset.*|DebugIdentity|DebugNanCount|DebugNumericSummary(V2)?"
    r"|PyFuncStateless|Xla(CustomCall|LaunchV).*"  # call what is not in the graph
    r"|TPU.*|Abort"
)


def check_saved(folder: Path, what: str) -> None:
    """Refuse a SavedModel with an operation that no model may have; `what` is whose it is, for the message.

    Raises:
        BadInput: it has one.
    """
    (graph,) = saved_model_pb2.SavedModel.FromString((folder / "saved_model.pb").read_bytes()).meta_graphs
    outputs = [tensor.name for each in graph.signature_def.values() for tensor in each.outputs.values()]
    _check(graph.graph_def, outputs, what)


def check_traced(function: Any, what: str) -> None:
    """Refuse a concrete function with an operation that no model may have, before it is trained for hours.

    Raises:
        BadInput: it has one.
    """
    graph = function.graph.as_graph_def()
    _check(graph, [each.name for each in graph.node], what)


def _check(graph: Any, outputs: Sequence[str], what: str) -> None:
    refused = sorted(filter(_acts, _reachable(graph, outputs)))
    if refused:
        raise BadInput(
            f"{what} uses {listed(refused)}: a served model may compute from its inputs and weights only, and may not "
            "reach for files, data sets, the network or Python, nor print; do that before the training, and leave it "
            "out of the model"
        )


def _acts(operation: str) -> bool:
    # The file lists definitions too, but not those of operations in the body of a loop.
    definition = op_def_registry.get(operation)
    if definition is None or definition.is_stateful:
        return _STATEFUL.fullmatch(operation) is None
    return _ACTING.fullmatch(operation) is not None


def _reachable(graph: Any, outputs: Sequence[str]) -> set[str]:
    """Return the kinds of operations that a graph runs for some outputs, those inside of functions too."""
    nodes = {each.name: each for each in graph.node}
    functions = {each.signature.name: each for each in graph.library.function}
    pending = [nodes[name] for name in {_node(each) for each in outputs} if name in nodes]
    seen, found, called = {each.name for each in pending}, set[str](), set[str]()
    while pending:
        node = pending.pop()
        found.add(node.op)
        for name in {_node(each) for each in node.input} - seen:
            if name in nodes:
                seen.add(name)
                pending.append(nodes[name])
        for name in {node.op, *_functions_of(node)} & functions.keys() - called:
            called.add(name)
            pending += functions[name].node_def  # whose inputs are all in the function
    return found - functions.keys()


def _node(tensor: str) -> str:
    """Return which operation a tensor such as `add:0`, or a control input such as `^add`, is of."""
    return tensor.removeprefix("^").partition(":")[0]


def _functions_of(node: Any) -> set[str]:
    """Return the functions that an operation calls: of a condition or a loop, too."""
    return {each.name for value in node.attr.values() for each in (value.func, *value.list.func) if each.name}
