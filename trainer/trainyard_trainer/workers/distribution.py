"""How TensorFlow spreads one training over devices and processes."""

from collections.abc import Sequence
from typing import Any

import tensorflow as tf


def strategy_for(gpus: int, addresses: Sequence[str], index: int) -> Any:
    """Return the strategy, or None for one process with one device, where any would only cost time.

    With several processes this waits until all of TensorFlow's servers have found each other; `addresses` are theirs,
    and `index` is the number of this one.
    """
    if not addresses:
        return tf.distribute.MirroredStrategy() if gpus > 1 else None
    resolver = tf.distribute.cluster_resolver.SimpleClusterResolver(
        tf.train.ClusterSpec({"worker": list(addresses)}), task_type="worker", task_id=index, rpc_layer="grpc"
    )
    return tf.distribute.MultiWorkerMirroredStrategy(cluster_resolver=resolver)
