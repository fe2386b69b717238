"""A detector of your own: an unusual combination of withdrawn quotes, depth and spread.

Each of these features has a detector of its own, which alarms when it is rare by itself. Half-space
trees (Tan, Ting and Liu, 2011) score how rare the combination is. docs/plug-ins.md explains this.
"""

from river import anomaly, compose, preprocessing

from foreshock import PlugIn

BARS = 60
"""The bars that the trees learn before they score, and the length of their windows."""


def model() -> compose.Pipeline:
    """Return the estimator of one symbol. The seed makes it deterministic."""
    trees = anomaly.HalfSpaceTrees(n_trees=10, height=6, window_size=BARS, seed=1)
    return compose.Pipeline(preprocessing.MinMaxScaler(), trees)


JOINT_STRESS = PlugIn(
    features=(
        "cancel_burst.net_withdrawal_20s",
        "thin_book.shallow_near",
        "thin_book.spread",
    ),
    model=model,
    version=1,
    headline="quotes, depth and spread are unusual together",
    learning_bars=BARS,
    floor=0.5,
)
