"""`python -m trainyard_fetcher`: the init container of a serving pod whose model is on a PersistentVolumeClaim."""

import signal
import sys

from trainyard_fetcher.volume import main

# The first process of a container has no default reaction to SIGTERM.
signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
sys.exit(main())
