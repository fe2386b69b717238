"""Power and size of the audit: a clean venue, and venues that break one rule each."""
