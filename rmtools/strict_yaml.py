"""YAML from files that others wrote: plain values, no key twice, no aliases."""

from __future__ import annotations

from typing import Any

import yaml

MAX_BRACKETS = 1000
"""Of ``[`` and ``{``; PyYAML's time grows with the square of how many are open."""


def strict_yaml(text: str | bytes) -> Any:
    """Parse YAML without anything that runs, multiplies or hides.

    Parameters
    ----------
    text
        One document; bytes are UTF-8 or UTF-16.

    Returns
    -------
    Any
        Mappings, lists, text, numbers, dates, booleans and None.

    Raises
    ------
    yaml.YAMLError
        Not YAML, a tag such as ``!!python/object``, an alias (a few lines of which can stand for
        more than fits into memory), a key twice, nesting without end, or a value that is not what
        its tag says.
    """
    found = (
        text.count(b"[") + text.count(b"{")
        if isinstance(text, bytes)
        else text.count("[") + text.count("{")
    )
    if found > MAX_BRACKETS:
        raise yaml.YAMLError(f"it has more than {MAX_BRACKETS:,} opening brackets")
    try:
        return yaml.load(text, Loader=_StrictLoader)  # noqa: S506 - it derives from SafeLoader
    except yaml.YAMLError:
        raise
    except RecursionError as error:
        raise yaml.YAMLError("it is nested too deeply") from error
    except (ValueError, LookupError, TypeError, AttributeError, OverflowError) as error:
        # PyYAML converts without looking: 2001-99-99, !!int "", !!bool maybe
        raise yaml.YAMLError(f"a value cannot be read ({error})") from error


class _StrictLoader(yaml.SafeLoader):
    """A safe loader that refuses the same key twice and aliases."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:  # noqa: FBT001, FBT002 - PyYAML's signature
        seen = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if isinstance(key, str) and key in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {key!r} stands twice", key_node.start_mark
                )
            seen.add(str(key))
        return super().construct_mapping(node, deep)

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            raise yaml.composer.ComposerError(
                None,
                None,
                "aliases are not allowed",
                self.peek_event().start_mark,  # type: ignore[no-untyped-call]
            )
        return super().compose_node(parent, index)
