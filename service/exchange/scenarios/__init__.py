"""What can be injected into a simulated market, and when: stress, manipulation, faults of the feed.

May import ``controls``. A name, a strength and a time enter; changes of the controls leave.
"""
