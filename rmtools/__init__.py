"""rmtools: generate, curate, audit and publish radio-map datasets.

The package is organised as the steps of one road, each folder using only the ones before it:
``city`` (OpenStreetMap to scenes), ``traffic`` (scenes to vehicle tracks), ``radio`` (tracks and
transmitters to path loss), ``store`` (the dataset as one Zarr store), ``layouts`` (the store as
files), ``splits``, ``report``, ``run`` (all of it from one recipe) and ``cli``.
"""

__version__ = "0.1.0"
