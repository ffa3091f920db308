"""JSON Schemas of every file that others read or write; installed as ``rmtools.schemas``."""
