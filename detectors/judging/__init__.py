"""How surprising a number is: baselines, tails, the budget of false alarms, drift, peer priors.

Statistics only: imports nothing else of the project and knows no market. Features and scores enter;
deviations, p-values and alarms leave.
"""
