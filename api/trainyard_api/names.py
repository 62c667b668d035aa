"""Labels, ports, paths and environment variables: every string two parts of Trainyard must agree on."""

FIELD_MANAGER = "trainyard"
CONTROLLER = "trainyard.dev/operator"
"""What spec.managedBy of a TrainingJob calls this operator."""

MANAGED_BY_LABEL = "app.kubernetes.io/managed-by"
MANAGED_BY = "trainyard"
NAME_LABEL = "app.kubernetes.io/name"
COMPONENT_LABEL = "app.kubernetes.io/component"
JOB_LABEL = "trainyard.dev/training-job"
ROLE_LABEL = "trainyard.dev/role"
ATTEMPT_LABEL = "trainyard.dev/attempt"
SERVICE_LABEL = "trainyard.dev/model-service"
REVISION_LABEL = "trainyard.dev/revision"
BACKEND = "backend"
"""The role of a Service that routes of a Gateway send to."""
MODEL_LABEL = "trainyard.dev/model"
MODEL_VERSION_LABEL = "trainyard.dev/model-version"

PROFILE_ANNOTATION = "trainyard.dev/profile"
"""On a Job or Deployment: name and generation of the TrainingProfile that its pods were made by."""

# On the stable Service: since when its revision has earned the traffic, and who had it before. Written together with
# its selector, so that whoever reads one reads all.
PROMOTED_ANNOTATION = "trainyard.dev/promoted"
PREVIOUS_ANNOTATION = "trainyard.dev/previous-revision"
# The canary beside it: which revision, at which step, since when. As JSON; empty where there is none.
CANARY_ANNOTATION = "trainyard.dev/canary"
# The wanted revision, where it was sent back, with the reason. As JSON; empty where there is none.
ROLLED_BACK_ANNOTATION = "trainyard.dev/rolled-back"
# A canary that has lost its share, and when: its pods go on until no route leads to them. As JSON.
LEFT_ANNOTATION = "trainyard.dev/left-revision"
# For how long the new revision has been coming up, and how many old pods made room for it. As JSON.
PROGRESS_ANNOTATION = "trainyard.dev/rollout-progress"
# What a person ordered, `pause` or `promote`, and of which revision; and the last command that was obeyed.
ORDER_ANNOTATION = "trainyard.dev/rollout-order"
OBEYED_ANNOTATION = "trainyard.dev/rollout-obeyed"
# On a ModelService: a command to its rollout, by a person.
COMMAND_ANNOTATION = "trainyard.dev/rollout"
# On the Deployment of a revision that is kept without pods: since when.
PARKED_ANNOTATION = "trainyard.dev/parked"
# On the pod template of a revision's Deployment: when its pods were replaced, because they had lost their model.
RESTARTED_ANNOTATION = "trainyard.dev/restarted"
# On the Deployment of a revision: which model it serves.
MODEL_URI_ANNOTATION = "trainyard.dev/model-uri"
MODEL_DIGEST_ANNOTATION = "trainyard.dev/model-digest"
TRAINING_JOB_ANNOTATION = "trainyard.dev/training-job-name"
TRAINING_JOB_UID_ANNOTATION = "trainyard.dev/training-job-uid"
TRAINED_ANNOTATION = "trainyard.dev/trained"
SELECTOR_ANNOTATION = "trainyard.dev/training-selector"
METRICS_ANNOTATION = "trainyard.dev/model-metrics"

# The trainer's contract. The paths are mount paths in its pod; a laptop sets the variables to folders of its own.
SPEC_ENV = "TRAINYARD_SPEC"
DATA_DIR_ENV = "TRAINYARD_DATA_DIR"
DATA_SECRET_DIR_ENV = "TRAINYARD_DATA_SECRET_DIR"  # noqa: S105
STORE_SECRET_DIR_ENV = "TRAINYARD_STORE_SECRET_DIR"  # noqa: S105
MODEL_DIR_ENV = "TRAINYARD_MODEL_DIR"
CHECKPOINT_DIR_ENV = "TRAINYARD_CHECKPOINT_DIR"
LOG_DIR_ENV = "TRAINYARD_LOG_DIR"
CODE_DIR_ENV = "TRAINYARD_CODE_DIR"
PREDICT_MODEL_DIR_ENV = "TRAINYARD_PREDICT_MODEL_DIR"
SIGNING_KEY_ENV = "TRAINYARD_SIGNING_KEY"
IMAGE_ENV = "TRAINYARD_IMAGE"
RUN_ENV = "TRAINYARD_RUN"
PORT_ENV = "TRAINYARD_PORT"
WORKER_INDEX_ENV = "TRAINYARD_WORKER_INDEX"
TF_CONFIG_ENV = "TF_CONFIG"
STARTUP_TIMEOUT_ENV = "TRAINYARD_STARTUP_TIMEOUT"
TERMINATION_MESSAGE_ENV = "TRAINYARD_TERMINATION_MESSAGE_PATH"

SPEC_MOUNT = "/etc/trainyard/spec"
SPEC_FILE = "spec.json"
DATA_SECRET_MOUNT = "/etc/trainyard/data-secret"  # noqa: S105
STORE_SECRET_MOUNT = "/etc/trainyard/store-secret"  # noqa: S105
CODE_MOUNT = "/etc/trainyard/code"
SIGNING_MOUNT = "/etc/trainyard/signing"
SIGNING_KEY_FILE = "private.pem"
PUBLIC_KEY_MOUNT = "/etc/trainyard/public-key"
PUBLIC_KEY_FILE = "public.pem"
DATA_MOUNT = "/trainyard/data"
STORE_MOUNT = "/trainyard/store"
PREDICT_MODEL_MOUNT = "/trainyard/model"
SERVING_MODELS_MOUNT = "/models"
SERVING_CONFIG_MOUNT = "/etc/trainyard/serving"
MONITORING_CONFIG_FILE = "monitoring.config"
BATCHING_FILE = "batching.config"
TERMINATION_MESSAGE_PATH = "/dev/termination-log"

TRAINER_PORT = 8080
WORKER_PORT = 2222
"""Where worker 0 of several listens, and each other one port higher: TensorFlow's servers listen on all addresses, and
pods may share those, as with host networking. It is the port in TensorFlow's own examples of TF_CONFIG."""
GRPC_PORT = 8500
REST_PORT = 8501

MANIFEST_FILE = "trainyard.json"
"""Written last into a model version; a folder without it is not a version."""
MODEL_CARD_FILE = "MODEL_CARD.md"
SIGNATURE_FILE = "model.sig"
"""Signs the manifest too, so it is the one file beside it that the manifest does not list."""
SIGNATURE = "serving_default"
"""What a served model answers by default: a vector for each feature."""
EXAMPLES_SIGNATURE, EXAMPLES_INPUT = "serving_examples", "examples"
"""The same answers for serialized tf.Example messages. TensorFlow's estimators and TFX call the input so."""

TEXT_SIGNATURE = "serving_text"
"""The same answers for columns of texts: a number is a text too, and an empty one is a missing value."""

EXIT_DONE = 0
EXIT_BAD_INPUT = 2
EXIT_DIVERGED = 3
EXIT_STOPPED = 75
EXIT_PEER_LOST = 69
