"""Trading states of symbols: from the venue's statuses, from a calendar, or seen in the book.

This package may import ``market_data`` and the windows of ``incidents.suppression``. It decides
whether a symbol trades continuously. Only then are its bars judged and its book uncrossed.
"""
