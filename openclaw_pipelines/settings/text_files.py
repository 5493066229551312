"""Small files of text that people write: read only where they are such, so that none of them can hold a reader up."""

import os
import stat
from pathlib import Path

MOST_BYTES = 4 << 20
"""A configuration of a thousand strategies has a tenth of that."""


class NoTextFileError(OSError):
    """Something else stands where a file of text should: a folder, a pipe, a device, a link to nothing, a huge file."""


def text_of(path: Path, most_bytes: int = MOST_BYTES) -> str:
    """The text of a regular file; nothing is waited for.

    Raises:
        FileNotFoundError, NotADirectoryError: nothing is there.
        NoTextFileError: something is, and no file of at most `most_bytes`. OSError: it cannot be read.
        UnicodeDecodeError: it is not UTF-8.
    """
    if "\0" in str(path):
        raise NoTextFileError("its name holds a NUL byte")
    try:
        _require_small(path.stat(), most_bytes)
    except FileNotFoundError:
        if path.is_symlink():
            raise NoTextFileError("it is a link to what is not there") from None
        raise
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with open(descriptor, "rb") as file:  # noqa: PTH123 - a descriptor
        _require_small(os.fstat(descriptor), most_bytes)  # what stands there now may be another one
        content = file.read(most_bytes + 1)
    if len(content) > most_bytes:
        raise NoTextFileError(f"it has more than {most_bytes:,} bytes")
    return content.decode()


def _require_small(found: os.stat_result, most_bytes: int) -> None:
    if not stat.S_ISREG(found.st_mode):
        raise NoTextFileError(f"it is {_KINDS.get(stat.S_IFMT(found.st_mode), 'no regular file')}, not a file of text")
    if found.st_size > most_bytes:
        raise NoTextFileError(f"it has {found.st_size:,} bytes, more than {most_bytes:,}")


_KINDS = {
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


def reason_of(error: OSError | UnicodeDecodeError) -> str:
    """Why a file could not be read, in words."""
    if isinstance(error, UnicodeDecodeError):
        return "it is not UTF-8 text"
    return str(error) if isinstance(error, NoTextFileError) else error.strerror or type(error).__name__
