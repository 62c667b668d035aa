"""`python -m trainyard_operator` runs the operator."""

import sys

from trainyard_operator.main import main

if __name__ == "__main__":
    sys.exit(main())
