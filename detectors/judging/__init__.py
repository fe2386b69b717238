"""Statistics: baselines, tails, the false-alarm budget, drift and peer priors.

This package imports only `detectors.table` of the project and contains nothing about markets. Its
inputs are features and scores. Its outputs are deviations, p-values and alarms.
"""
