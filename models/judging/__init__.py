"""Judging models: predictions, metrics, time, and the papers' tables beside ours.

The numbers come from :mod:`rmtools.metrics` alone. ``rmtools benchmark`` is
:func:`~rmtools.models.judging.benchmark.benchmark`; docs/benchmarking.md is the written protocol.
Torch is imported by the modules that need it, not here.
"""
