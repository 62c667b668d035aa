"""Writes the list of operations that a served model may be made of: `python -m tools.operations`, with TensorFlow.

The rule:

* An operation that TensorFlow marks as stateful may act on something else than its outputs. Only those of `_STATEFUL`
  are allowed: variables, tables in memory, control flow, random numbers. All others are refused, and so are those that
  a later TensorFlow brings.
* The others, more than a thousand, only compute. Refused are the few that TensorFlow does not mark and that yet read
  files or data sets, call Python, or end the process.
"""

import re
from pathlib import Path

import tensorflow  # noqa: F401 (registers its operations)
from tensorflow.core.framework import op_def_pb2
from tensorflow.python.client import pywrap_tf_session

FILE = Path(__file__).parents[1] / "fetcher" / "trainyard_fetcher" / "allowed_operations.txt"

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


def allowed_operations() -> list[str]:
    """Return the allowed operations of the TensorFlow that runs this, sorted."""
    registered = op_def_pb2.OpList.FromString(pywrap_tf_session.TF_GetBuffer(pywrap_tf_session.TF_GetAllOpList()))
    return sorted(operation.name for operation in registered.op if _is_allowed(operation))


def _is_allowed(operation: op_def_pb2.OpDef) -> bool:
    if operation.name.startswith("_"):  # TensorFlow's own, between its devices
        return False
    if operation.is_stateful:
        return _STATEFUL.fullmatch(operation.name) is not None
    return _ACTING.fullmatch(operation.name) is None


if __name__ == "__main__":
    FILE.write_text("".join(f"{name}\n" for name in allowed_operations()), encoding="utf-8")
