"""`python -m hw_xai`: the command line without its script on the path."""

import sys

from .cli import main

sys.exit(main())
