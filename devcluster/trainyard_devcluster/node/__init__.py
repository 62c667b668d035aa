"""The node agent: runs pods as local processes and makes Services reachable.

To the API server it is a kubelet and kube-proxy. To pods it is less than a container runtime: there are no
containers, so processes share this machine's files and users, and what only a kernel's namespaces and cgroups can do is
not done. In detail:

* Mount paths are rewritten to real folders in commands, arguments and variables; text inside files is not. A mount
  cannot be read-only, and a file mounted by `subPath` follows its source.
* Limits of cpu and memory bind nothing, so no container is killed for want of memory and none ends as OOMKilled.
* `securityContext` changes nothing: every process runs as the user of the node agent.
* A pod's address is one of this machine's. Python programs that bind all addresses get the pod's own, and know the
  cluster's names; other programs have to bind DEVCLUSTER_POD_IP themselves. Containers of one pod reach each other at
  the pod's address, not at localhost. TensorFlow's servers bind all addresses, so that one training at a time can have
  several pods.
* UDP Services, hostPort, `kubectl exec`, `attach` and `port-forward`, and ephemeral containers are not there.
"""
