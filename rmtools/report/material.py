"""What the sections of the report are written from, gathered in one pass over the store."""

from __future__ import annotations

from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rmtools.report.gallery import Gallery
from rmtools.report.reader import Reader
from rmtools.report.sight import MAX_MAPS, Sight
from rmtools.report.statistics import MAX_SEQUENCES, Statistics, chosen_sequences, sampled

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from rmtools.report.sets import SceneSets
    from rmtools.report.statistics import Index
    from rmtools.store import Store
    from rmtools.types import FloatArray
    from rmtools.units import GreyScale

_READ_AHEAD = 2  # sequences that are read while another one is counted


@dataclass(frozen=True)
class Material:
    """Everything the sections are written from."""

    store: Store
    statistics: Statistics
    sight: Sight
    gallery: Gallery
    sets: SceneSets
    scale: GreyScale
    bytes_on_disk: int
    split: Mapping[str, Any] | None
    validation: Mapping[str, Any] | None
    audit: Mapping[str, Any] | None
    recipe: Mapping[str, Any] | None


def gather(
    store: Store, scale: GreyScale, max_sequences: int = MAX_SEQUENCES
) -> tuple[Statistics, Sight, Gallery]:
    """Look at a store once, whatever stages have run.

    A few sequences are in memory at a time. Each is read once, whoever wants it; three more are
    read before, to choose how much of each the gallery takes.

    Parameters
    ----------
    store
        The store.
    scale
        Normalises path loss for the gallery and for the comparison with published figures.
    max_sequences
        Bound on the sequences that the statistics rest on; more are sampled evenly.
    """
    reader = Reader(store)
    statistics, sight = Statistics.begin(reader, max_sequences), Sight()
    gallery = Gallery.begin(reader, scale)
    counted = chosen_sequences(reader, gallery.wanted, max_sequences)
    counts, shown = set(counted), set(gallery.wanted)
    looked = {counted[i] for i in sampled(len(counted), MAX_MAPS)}
    for index, pathloss_db in _read(reader, sorted(counts | shown)):
        if index in counts:
            statistics.add(pathloss_db, scale)
        if index in looked:
            sight.add(reader, (index[0], index[2]), pathloss_db[0])
        if index in shown:
            gallery.add(index, pathloss_db)
    return statistics, sight, gallery


def _read(reader: Reader, indices: Sequence[Index]) -> Iterator[tuple[Index, FloatArray]]:
    """Sequences, shape (frame, n, n), in order; the next ones are read in the meantime."""
    with ThreadPoolExecutor(_READ_AHEAD) as pool:
        waiting: deque[tuple[Index, Future[FloatArray]]] = deque()
        for index in indices:
            waiting.append((index, pool.submit(reader.sequence, *index)))
            if len(waiting) > _READ_AHEAD:
                done, future = waiting.popleft()
                yield done, future.result()
        for done, future in waiting:
            yield done, future.result()
