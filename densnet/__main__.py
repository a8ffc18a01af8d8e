"""``python -m densnet`` is ``densnet``."""

import sys

from densnet.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
