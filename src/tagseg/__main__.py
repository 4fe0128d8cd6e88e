"""``python -m tagseg`` is the command line."""

import sys

from tagseg.cli import main

if __name__ == "__main__":
    sys.exit(main())
