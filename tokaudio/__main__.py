"""`python -m tokaudio` is the command `tokaudio`."""

import sys

from tokaudio.cli import main

if __name__ == "__main__":
    sys.exit(main())
