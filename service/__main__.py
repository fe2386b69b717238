"""``python -m service`` is ``foreshock``."""

import sys

from service.cli import main

sys.exit(main())
