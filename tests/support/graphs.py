"""SavedModels of a few operations, without TensorFlow."""

from trainyard_fetcher.saved_model_pb2 import (
    CollectionDef,
    GraphDef,
    MetaGraphDef,
    NodeDef,
    SavedModel,
    SignatureDef,
    TensorInfo,
)


def a_graph(*operations: str, **collections: str) -> bytes:
    """Return a SavedModel whose signature runs these operations; a collection names those that run at loading."""
    nodes = [NodeDef(name=operation, op=operation) for operation in operations]
    outputs = {operation: TensorInfo(name=f"{operation}:0") for operation in operations}
    started = {name: CollectionDef(node_list={"value": [operation]}) for name, operation in collections.items()}
    nodes += [NodeDef(name=operation, op=operation) for operation in collections.values()]
    graph = MetaGraphDef(
        graph_def=GraphDef(node=nodes),
        signature_def={"serving_default": SignatureDef(outputs=outputs)},
        collection_def=started,
    )
    return SavedModel(meta_graphs=[graph]).SerializeToString()
