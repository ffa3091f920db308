"""JSON Schemas of every file that others read or write; installed as ``rmtools.schemas``.

They are generated from the pydantic models with ``make schemas``; a test fails when they are not
current.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rmtools.files import to_json, write_text

FOLDER = Path(__file__).resolve().parent


def build() -> dict[str, dict[str, Any]]:
    """All schemas by file name."""
    from rmtools.models.judging.results import Benchmark
    from rmtools.models.training.record import CheckpointInfo, TrainingSummary

    from rmtools.audit import AuditReport, Normalisation, Windows
    from rmtools.city.sources import SourceReport
    from rmtools.findings import Report
    from rmtools.layouts.motion_format import MotionDescription
    from rmtools.layouts.packed_format import PackedDescription
    from rmtools.layouts.seer_description import SeerDescription
    from rmtools.metrics.evaluation import Evaluation
    from rmtools.metrics.protocol import Protocol
    from rmtools.release.about import About
    from rmtools.release.changes import Changes
    from rmtools.release.manifest import ReleaseManifest
    from rmtools.release.shards import ShardIndex
    from rmtools.release.verify import VerifyReport
    from rmtools.run.ledger import LedgerEntry
    from rmtools.run.recipe import Recipe
    from rmtools.scene import SceneMember
    from rmtools.splits.manifest import SplitManifest
    from rmtools.winprop.ingest_report import IngestReport
    from rmtools.winprop.manifest import JobManifest

    models = {
        "audit": AuditReport,
        "benchmark": Benchmark,
        "evaluation": Evaluation,
        "checkpoint": CheckpointInfo,
        "ingest": IngestReport,
        "jobs": JobManifest,
        "ledger-entry": LedgerEntry,
        "metrics-protocol": Protocol,
        "motion-dataset": MotionDescription,
        "normalisation": Normalisation,
        "packed": PackedDescription,
        "seer-dataset": SeerDescription,
        "recipe": Recipe,
        "release": ReleaseManifest,
        "release-about": About,
        "release-changes": Changes,
        "release-shards": ShardIndex,
        "release-verify": VerifyReport,
        "scene-member": SceneMember,
        "split": SplitManifest,
        "tiles-item": SourceReport,
        "training": TrainingSummary,
        "validation": Report,
        "windows": Windows,
    }
    return {
        f"{name}.schema.json": {
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            **model.model_json_schema(),
        }
        for name, model in models.items()
    }


def write(folder: Path = FOLDER) -> list[Path]:
    """Write all schemas into a folder."""
    paths = []
    for name, schema in build().items():
        write_text(folder / name, to_json(schema))
        paths.append(folder / name)
    return paths
