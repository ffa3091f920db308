"""Who is in which set: manifests, making splits, checking them."""

from rmtools.splits.check import check_manifest
from rmtools.splits.manifest import (
    SPLIT_NAME,
    SplitManifest,
    SplitSet,
    dataset_digest,
    make_manifest,
    read_manifest,
    write_manifest,
)

__all__ = [
    "SPLIT_NAME",
    "SplitManifest",
    "SplitSet",
    "check_manifest",
    "dataset_digest",
    "make_manifest",
    "read_manifest",
    "write_manifest",
]
