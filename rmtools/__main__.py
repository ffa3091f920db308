"""``python -m rmtools`` is the ``rmtools`` command."""

from rmtools.cli import main

if __name__ == "__main__":
    main()
