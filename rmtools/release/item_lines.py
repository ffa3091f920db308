"""Long lists in JSON files: one item on each line, read one by one.

A release of half a million maps has a manifest of 150 MB. A file of that size is not given to a
JSON parser as a whole, which could fill the memory with what a stranger put there; short lines are.
"""

from __future__ import annotations

from typing import TypeVar

from pydantic import BaseModel, ValidationError

from rmtools.files import first_problem

MAX_BYTES = 2**30
"""Most bytes of such a file."""

BETWEEN = ",\n"

Model = TypeVar("Model", bound=BaseModel)


def read_items(data: bytes, model: type[Model], most: int, max_line_bytes: int) -> list[Model]:
    """Items of a list.

    Parameters
    ----------
    data
        Lines with a comma between them, without the brackets of the list.
    model
        What an item is.
    most
        How many items there may be.
    max_line_bytes
        How long each of them may be.

    Raises
    ------
    ValueError
        There are more, or one is longer or something else; the message has its number.
    """
    if not data:
        return []
    between = BETWEEN.encode()
    if data.count(between) >= most:
        raise ValueError(f"more than {most:,} items")
    found = []
    for number, line in enumerate(data.split(between)):
        if len(line) > max_line_bytes:
            raise ValueError(f"{number}: {len(line):,} bytes in one line")
        try:
            found.append(model.model_validate_json(line))
        except ValidationError as error:
            raise ValueError(f"{number}: {first_problem(error)}") from error
    return found
