"""The yearly review of the surveillance: alarms, judgements, precision, settings and downtime.

Uses ``kafka`` or files for its material, ``scorecard`` for the interval of a share and ``report``
for its page. Input: the records of the service's topics. Output: JSON and one HTML file.
"""
