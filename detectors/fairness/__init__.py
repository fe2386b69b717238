"""Whether liquidations treat accounts alike: episodes, what they needed, and tests of differences.

Input: events and numbers. Output: episodes and statistics. Nothing here judges a venue; that is
what `detectors.audit` does.
"""
