"""`python -m trainyard_devcluster up`: the whole cluster; or one of its parts by name, for a cluster of mixed parts."""

import runpy
import sys

from trainyard_devcluster import up

PARTS = ("apiserver", "controllers", "scheduler", "node", "gateway")
USAGE = f"""usage: python -m trainyard_devcluster up --dir DIR [--gpus N] [--cpu N] [--memory QUANTITY]
       python -m trainyard_devcluster {{{",".join(PARTS)}}} [--help]"""


def main() -> int:
    """Run what the first argument names."""
    name, arguments = (sys.argv[1] if len(sys.argv) > 1 else ""), sys.argv[2:]
    if name == "up":
        return up.main(arguments)
    if name in PARTS:
        sys.argv = [f"trainyard_devcluster {name}", *arguments]
        runpy.run_module(f"trainyard_devcluster.{name}", run_name="__main__")
        return 0
    print(USAGE, file=sys.stdout if name in ("-h", "--help") else sys.stderr)
    return 0 if name in ("-h", "--help") else 2


if __name__ == "__main__":
    sys.exit(main())
