"""`python -m hw_xai.cli`, which launchers of several processes take."""

import sys

from . import main

sys.exit(main())
