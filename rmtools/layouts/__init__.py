"""From the store to files and back: the layouts datasets are published in."""
