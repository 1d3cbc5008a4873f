"""`python -m grading`: hw-grade without its script on the path."""

import sys

from .cli import main

sys.exit(main())
