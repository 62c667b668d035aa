"""A TensorFlow-Serving-compatible model server, where no real one is on PATH.

It takes the flags of the official image, answers on the same two ports with the same bodies, codes and metrics, and
treats versions on disk alike, so that what works here works there. It is a development tool: one Python process,
some thousand requests per second. Known differences, all on the safe side or out of a client's sight:

* Classify, Regress, MultiInference, HandleReloadConfigRequest, batching, TLS, TFLite and the profiler are refused
  (UNIMPLEMENTED, or an error at the start), never half done.
* A version without its variables fails to load, where TensorFlow Serving loads it and fails each request.
* A gRPC deadline ends the call for the client but not the computation; REST has the run timeout of the original.
* Models are read from folders of this machine. A base path such as s3://bucket/model is taken, as by the original, and
  then treated like a folder that is missing.
* Of a JSON object that names a key twice the last one counts, not the first.

Like the original it has no handler for SIGTERM: the process ends at once and requests in flight are lost. In the
official image a shell stands between and swallows the signal. Either way draining is the deployment's business (a
preStop hook), and this server must not be kinder than the real one, or tests would prove nothing.
"""
