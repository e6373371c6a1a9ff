"""A zip file whose bytes follow from what is in it: sorted names, one time, two modes."""

import hashlib
import zipfile
from pathlib import Path
from typing import Final

_TIME: Final = (1980, 1, 1, 0, 0, 0)
_UNIX: Final = 3
_FILE, _PROGRAM = 0o100644, 0o100755


def files_in(folder: Path) -> list[Path]:
    """Every file below the folder, in the order of their names."""
    return sorted((path for path in folder.rglob("*") if path.is_file()), key=lambda path: path.as_posix())


def write_zip(folder: Path, archive: Path) -> str:
    """Packs the folder's content; returns the SHA-256 of the archive."""
    archive.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as packed:
        for path in files_in(folder):
            info = zipfile.ZipInfo(path.relative_to(folder).as_posix(), date_time=_TIME)
            info.compress_type = zipfile.ZIP_DEFLATED
            info.create_system = _UNIX
            info.external_attr = (_PROGRAM if path.suffix == ".so" else _FILE) << 16
            packed.writestr(info, path.read_bytes())
    return hashlib.sha256(archive.read_bytes()).hexdigest()
