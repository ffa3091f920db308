"""Releases: a finished dataset with all that a stranger needs to use, check and cite it.

:func:`rmtools.release.release.make_release` builds one, :func:`rmtools.release.verify.verify`
proves it, :func:`rmtools.release.repair.repair` mends it from another copy,
:mod:`rmtools.release.changes` compares two.
"""
