"""Which traces there are under paths of the driver's own file systems: those that `prof-analyze batch` finds.

Spark's own listing is not asked: it passes over names that begin with `_` or `.`, takes brackets for patterns, and Java does
not see names that are no UTF-8.
"""

import os
from collections.abc import Callable, Iterable

ENDING = ".pitrace"


def is_local(path: str) -> bool:
    return path.startswith("file:") or "://" not in path


def local_path(path: str) -> str:
    """Of `file:/folder/a trace.pitrace`, as Spark names files, which escapes nothing, or of a plain path."""
    return "/" + path.removeprefix("file:").lstrip("/") if path.startswith("file:") else os.path.abspath(path)


def shown(path: str) -> str:
    """With what is no UTF-8 replaced, for tables and terminals."""
    return os.fsencode(path).decode(errors="replace")


def find(paths: Iterable[str], unreadable: Callable[[OSError], None]) -> list[str]:
    """A file that is named, whatever its name, and the `.pitrace` files in folders of folders; each once, in order.

    Links to folders are not followed: they may lead back. `unreadable` is told of folders that cannot be listed.
    """
    found = set()
    for path in map(local_path, paths):
        if not os.path.isdir(path):
            found.add(path)
        for folder, _, names in os.walk(path, onerror=unreadable):
            found.update(os.path.join(folder, name) for name in names if name.endswith(ENDING))
    return sorted(found)
