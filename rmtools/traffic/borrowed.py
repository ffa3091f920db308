"""Arrays without an owner, for compiled functions that pass them on very often.

Numba counts references to an array at almost every call that takes one, by an atomic instruction
each time. In the vehicle engine, whose functions do little and are called often, that takes as
long as the motion itself.
"""

from __future__ import annotations

from typing import Any

from numba.core import cgutils
from numba.extending import intrinsic
from numba.np.arrayobj import make_array


@intrinsic  # type: ignore[untyped-decorator]  # Numba has no types
def borrowed(_context: Any, array: Any) -> Any:
    """The same array, but nobody counts references to it.

    For compiled functions only. Whoever called them must keep the array itself.
    """

    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        view = make_array(signature.return_type)(context, builder, arguments[0])
        view.meminfo = cgutils.get_null_value(view.meminfo.type)
        return view._getvalue()  # noqa: SLF001  the way of every Numba extension

    return array(array), build
