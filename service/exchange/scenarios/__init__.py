"""The scenarios of a simulated market: stress, manipulation, session phases and feed faults.

Uses ``controls``. Input: a name, a strength and a time. Output: changes of the controls.
"""
