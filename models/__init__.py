"""Reference models, one readable file each; installed as ``rmtools.models``."""
