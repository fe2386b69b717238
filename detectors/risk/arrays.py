"""The array types of this package."""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
"""Numbers: prices, quantities, notional, ratios."""

Integers = NDArray[np.int64]
"""Row numbers and counts."""

Numbers = NDArray[np.int32]
"""Numbers of accounts and symbols."""

Flags = NDArray[np.bool_]
"""True or false for each row."""
