"""How TensorFlow spreads one training over devices and processes."""

from collections.abc import Sequence

import tensorflow as tf

from trainyard_trainer.workers.cluster import jobs


def strategy_for(gpus: int, addresses: Sequence[str], index: int, servers: int = 0) -> tf.distribute.Strategy | None:
    """Return the strategy, or None for one process with one device, where any would only cost time.

    With several processes this waits until all of TensorFlow's servers have found each other; `addresses` are theirs,
    and `index` is the number of this one. `servers` is how many of them are parameter servers.
    """
    if not addresses:
        return tf.distribute.MirroredStrategy() if gpus > 1 else None
    if servers:
        # It reports a worker that is gone with pages of errors, and goes on; what ends the training is raised.
        tf.get_logger().setLevel("CRITICAL")
        return tf.distribute.ParameterServerStrategy(
            tf.distribute.cluster_resolver.SimpleClusterResolver(
                tf.train.ClusterSpec(jobs(addresses, servers)), task_type="chief", task_id=0, rpc_layer="grpc"
            )
        )
    resolver = tf.distribute.cluster_resolver.SimpleClusterResolver(
        tf.train.ClusterSpec({"worker": list(addresses)}), task_type="worker", task_id=index, rpc_layer="grpc"
    )
    return tf.distribute.MultiWorkerMirroredStrategy(cluster_resolver=resolver)
