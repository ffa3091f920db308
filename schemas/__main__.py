"""``python -m rmtools.schemas`` writes the schemas beside this file."""

from rmtools.schemas import write

if __name__ == "__main__":
    for path in write():
        print(path)  # noqa: T201 - a script
