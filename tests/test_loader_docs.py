"""docs/loaders.md states every convention as it is."""

from __future__ import annotations

from pathlib import Path

from rmtools.layouts.conventions import CHANNELS, CONVENTIONS

PAGE = Path(__file__).resolve().parent.parent / "docs" / "loaders.md"


def test_the_table_is_that_of_the_code() -> None:
    lines = [line for line in PAGE.read_text().splitlines() if line.startswith("| `")]
    rows = {
        (name.strip("`"), task): (channels, samples, source)
        for name, task, channels, _, _, samples, source in (
            [cell.strip() for cell in line.strip("|").split("|")]
            for line in lines
            if line.count("|") == 8
        )
    }
    assert rows.keys() == {(name, task) for name, tasks in CONVENTIONS.items() for task in tasks}
    for (name, task), (channels, samples, source) in rows.items():
        convention = CONVENTIONS[name][task]
        assert source == convention.source
        if task == "forecast":
            continue
        assert channels.split(", ") == list(convention.channels)
        assert set(convention.channels) <= set(CHANNELS)
        stated = [int(number) for number in samples.split(" to ")] if samples else []
        wanted = convention.samples
        assert stated == ([] if wanted is None else sorted(set(wanted)))
