"""Loads the counts before the workers are forked, so that they all share them."""

import truth_counts  # noqa: F401
