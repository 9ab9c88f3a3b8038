"""A folder of images in an uncompressed tar, read in place by offset."""

import os
import tarfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from base.errors import UserError
from pipelines import filecache
from pipelines.sources import tree
from pipelines.sources.encoded import EncodedSource
from pipelines.tf_messages import first_sentence


class TarSource(EncodedSource):
    """The tree that `FolderSource` reads from a folder, in an archive.

    Nothing is extracted: an image is read from its place in the archive. Examples have
    the order that they would have in the folder, whatever theirs in the archive.
    """

    native = False
    batched = True

    def __init__(self, name: str, path: Path) -> None:
        """Reads the members' headers.

        Raises:
            UserError: the archive is damaged or compressed, a member is a link or
                stands outside the tree, or there are no classes of images.
        """
        self.name = name
        self._path = path
        self._file = open(path, "rb")  # noqa: SIM115  # as long as the source
        places = _places(name, path)
        found = tree.arrange(name, places)
        self._take(*found)
        self._paths = [path for group in found.groups for path in group.paths]
        self._places = np.array([places[path] for path in self._paths], np.int64)

    def read(self, indices: np.ndarray) -> list[bytes]:
        """The images at `indices`, encoded."""
        file = self._file.fileno()
        return [os.pread(file, size, at) for at, size in self._places[indices].tolist()]

    def describe(self, index: int) -> str:
        """The archive, the member and where its bytes begin."""
        return f"{self.name}, {self._paths[index]} at byte {self._places[index, 0]}"

    def _identities(self) -> filecache.Identities:
        return filecache.identify_parts(str(self._path), self._places)


def _places(name: str, path: Path) -> dict[str, tuple[int, int]]:
    """Offset and size of each file in the archive, by path.

    Raises:
        UserError: the archive is damaged, or a member is not allowed.
    """
    places: dict[str, tuple[int, int]] = {}
    try:
        # `r:` takes no compression: offsets into a compressed file say nothing.
        with tarfile.open(path, "r:") as archive:
            for member in _members(archive):
                inside = _checked_name(name, member)
                if inside in places:
                    raise UserError(
                        f"{name} holds {inside} twice; remove one, or pack it again."
                    )
                places[inside] = (member.offset_data, member.size)
            _check_end(name, archive)
    except (tarfile.TarError, OSError) as error:
        raise UserError(
            f"{name} cannot be read ({first_sentence(str(error))}); expected a whole, "
            "uncompressed tar."
        ) from error
    return places


def _members(archive: tarfile.TarFile) -> Iterator[tarfile.TarInfo]:
    """All but folders."""
    while (member := archive.next()) is not None:
        archive.members = []  # type: ignore[attr-defined]  # a kilobyte for each
        if not member.isdir():
            yield member


def _check_end(name: str, archive: tarfile.TarFile) -> None:
    """Checks that the archive ends as it should where no more members were found.

    tarfile takes a damaged or incomplete header for the end, and would lose the rest.

    Raises:
        UserError: it does not.
    """
    assert archive.fileobj is not None  # it is open
    archive.fileobj.seek(archive.offset)
    if archive.fileobj.read(tarfile.BLOCKSIZE) != bytes(tarfile.BLOCKSIZE):
        raise UserError(
            f"{name} is damaged or truncated at byte {archive.offset}: there is "
            "neither a file nor the archive's end; copy the archive again."
        )


def _checked_name(name: str, member: tarfile.TarInfo) -> str:
    """The member's path in the tree.

    Raises:
        UserError: it is a link or a device, or its path leaves the tree.
    """
    parts = [part for part in member.name.split("/") if part not in ("", ".")]
    where = f"{name} holds {member.name!r}"
    if not member.isreg() or member.issparse():
        kind = "a link" if member.issym() or member.islnk() else "no plain file"
        raise UserError(
            f"{where}, {kind}; pack the files themselves, such as by tar --dereference "
            "--hard-dereference."
        )
    if member.name.startswith("/") or ".." in parts or not parts:
        raise UserError(
            f"{where}, outside of the tree; expected relative paths without '..'."
        )
    return "/".join(parts)
