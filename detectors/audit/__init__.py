"""Whether a venue keeps the rules that it states, recomputed from its recorded events.

Input: events in the order of event time, and the venue's claims. Output: a finding for each check
of `detectors.audit.table`. The same events and claims give the same findings.
"""
