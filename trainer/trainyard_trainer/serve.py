"""What a worker or a parameter server does all the time: run TensorFlow's server, which the chief tells what to do."""

from collections.abc import Sequence

from trainyard_trainer.devices import usable_cpus
from trainyard_trainer.errors import PeerLost, Stopped
from trainyard_trainer.signals import StopSignal
from trainyard_trainer.tensorflow_logs import quiet
from trainyard_trainer.workers.cluster import Cluster, jobs, task
from trainyard_trainer.workers.parameter_server import FollowerGroup


def serve_chief(cluster: Cluster, addresses: Sequence[str], group: FollowerGroup, *, stop: StopSignal) -> str:
    """Serve until the chief says that it is over; returns what was done, in words.

    Raises:
        Stopped: on request, after the chief has ended.
        PeerLost: the chief is gone.
    """
    job, index = task(cluster.index, cluster.count, cluster.servers)
    with quiet():
        import tensorflow as tf

        config = tf.compat.v1.ConfigProto(
            intra_op_parallelism_threads=usable_cpus(),
            device_count={"GPU": 1 if job == "worker" else 0},  # one replica in each worker, none where weights lie
            gpu_options=tf.compat.v1.GPUOptions(allow_growth=True),
        )
        spec = tf.train.ClusterSpec(jobs(addresses, cluster.servers))
        # It serves as long as somebody knows it.
        server = tf.distribute.Server(spec, job_name=job, task_index=index, config=config)
    stop.install()
    try:
        group.serve()
    except PeerLost as loss:
        if stop.requested:
            raise Stopped("stopped on request, with the chief") from loss
        raise
    group.leave()
    return f"served the chief at {server.target} until the training was over"
