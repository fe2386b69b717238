"""``python -m service`` is ``foreshock``."""

import sys

from service.cli.main import main

sys.exit(main())
