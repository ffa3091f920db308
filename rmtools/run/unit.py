"""One unit of work, as any process of any machine does it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from rmtools import __version__
from rmtools.errors import MissingError, from_os_error
from rmtools.remote import from_network_error, network_errors
from rmtools.run.ledger import Ledger
from rmtools.run.stages import STAGES
from rmtools.run.workspace import Workspace

if TYPE_CHECKING:
    from rmtools.run.recipe import Recipe


@dataclass(frozen=True)
class UnitWork:
    """What a run asks of its workers; it is sent to them whole.

    Attributes
    ----------
    root
        Absolute path of the dataset folder.
    recipe
        What is made.
    stage, key
        Name of the stage, and its key in the ledger.
    token
        The run's, see :mod:`rmtools.run.holding`.
    version
        The rmtools version that the key stands for.
    """

    root: str
    recipe: Recipe
    stage: str
    key: str
    token: str
    version: str = __version__

    def __call__(self, unit: str) -> None:
        """Do one unit and enter it into the ledger, unless it is there by now.

        Two workers may do the same unit at the same time, when one was taken for dead: they
        write the same bytes, each file in one step.

        Raises
        ------
        BusyError
            The run is not the folder's any more.
        MissingError
            This process has another version of rmtools.
        RmtoolsError
            Whatever the work itself finds wrong.
        """
        if self.version != __version__:
            raise MissingError(
                f"a worker has rmtools {__version__}, the run {self.version}.",
                remedy="Install the same version in the environment of the workers.",
            )
        space = Workspace(Path(self.root), self.recipe, self.token)
        ledger = Ledger(space.root)
        try:
            space.require_held()
            if ledger.is_done(self.stage, unit, self.key):
                return
            files = STAGES[self.stage].work(space, unit)
            space.require_held()
            ledger.finish(self.stage, unit, self.key, files)
        except OSError as error:
            raise from_os_error(error) from error
        except network_errors() as error:
            raise from_network_error(error) from error
