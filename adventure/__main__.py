"""`python -m adventure`. Knows only where the command line begins."""

import sys

from adventure.cli import main

if __name__ == "__main__":
    sys.exit(main())
