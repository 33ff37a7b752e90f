"""Checkpoints that are whole or not there: renamed into place, checked when they are read."""

import hashlib
import os
import uuid
from pathlib import Path
from typing import IO, Any

import torch

_END = b"subluminal checkpoint 1\n"
_DIGEST = hashlib.sha256
_TAIL = _DIGEST().digest_size + len(_END)
_CHUNK = 2**20

Location = str | torch.device | None


class CheckpointError(ValueError):
    """A file that is not a whole checkpoint."""


def save_checkpoint(state: Any, path: str | os.PathLike[str]) -> None:
    """Write a checkpoint so that a file of this name is always a whole one, the old or the new.

    It is written to a temporary file in the same folder, flushed to the disk, and renamed. A
    process that is killed leaves the old file, and possibly the temporary one (``.name.*.part``).

    Parameters
    ----------
    state
        State dicts, or other tensors, numbers, strings, lists and dicts of these: what torch.load
        reads with ``weights_only=True``.
    path
        The file. It is a torch.save file, which torch.load reads too, with a digest at its end.

    Raises
    ------
    OSError
        If the file cannot be written; the old one is untouched.
    CheckpointError
        If the state holds an object that `load_checkpoint` would not read; nothing is written then.

    Examples
    --------
    >>> import tempfile
    >>> weight = torch.nn.Parameter(torch.ones(2))
    >>> optimizer = torch.optim.SGD([weight])
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save_checkpoint({"optimizer": optimizer.state_dict()}, f"{folder}/last.pt")
    ...     optimizer.load_state_dict(load_checkpoint(f"{folder}/last.pt")["optimizer"])
    """
    path = Path(path)
    part = path.with_name(f".{path.name}.{uuid.uuid4().hex}.part")
    try:
        with open(part, "x+b") as file:
            torch.save(state, file)
            size = file.seek(0, os.SEEK_END)
            file.seek(0)
            objects = torch.serialization.get_unsafe_globals_in_checkpoint(file)
            if objects:
                raise CheckpointError(
                    f"state holds {', '.join(sorted(objects))}: expected tensors, numbers, "
                    "strings, lists and dicts, which torch.load reads with weights_only=True"
                )
            digest = _digest_of(file, size)
            file.seek(size)
            file.write(digest + _END)
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
    _flush_folder(path.parent)


def load_checkpoint(path: str | os.PathLike[str], map_location: Location = None) -> Any:
    """Return what `save_checkpoint` has written, once it is found whole.

    Parameters
    ----------
    path
        The file.
    map_location
        Where tensors are put, as for torch.load.

    Raises
    ------
    OSError
        If the file cannot be read.
    CheckpointError
        If it was cut off or changed, or was not written by `save_checkpoint`. Nothing has been made
        of it then.
    """
    with open(path, "rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - _TAIL))
        tail = file.read()
        if len(tail) < _TAIL or not tail.endswith(_END):
            raise CheckpointError(
                f"{os.fspath(path)} ends in {tail[-len(_END) :]!r}: expected {_END!r}; it is cut "
                "off, or was not written by save_checkpoint"
            )
        if _digest_of(file, size - _TAIL) != tail[: -len(_END)]:
            raise CheckpointError(
                f"{os.fspath(path)} has another SHA-256 than it says: expected the {size} bytes "
                "that were written; it has been changed"
            )
    try:
        return torch.load(path, map_location=map_location, weights_only=True)
    except Exception as error:
        raise CheckpointError(
            f"{os.fspath(path)} is whole, but torch.load does not read it: expected what "
            "save_checkpoint writes"
        ) from error


def _digest_of(file: IO[bytes], size: int) -> bytes:
    """Return the digest of the first bytes of a file."""
    file.seek(0)
    found = _DIGEST()
    for start in range(0, size, _CHUNK):
        found.update(file.read(min(_CHUNK, size - start)))
    return found.digest()


def _flush_folder(folder: Path) -> None:
    """Have the disk remember a renaming, where a folder can be opened to ask for it."""
    if os.name != "posix":  # pragma: no cover
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
