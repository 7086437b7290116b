"""Detects network file systems, on which SQLite's locks and log are unsafe."""

from __future__ import annotations

import ctypes
import subprocess
import sys
from pathlib import Path

NETWORK_KINDS = frozenset(
    {
        "9p",
        "afpfs",
        "afs",
        "beegfs",
        "ceph",
        "cifs",
        "coda",
        "davfs",
        "fuse.glusterfs",
        "fuse.s3fs",
        "fuse.sshfs",
        "gfs2",
        "glusterfs",
        "lustre",
        "ncpfs",
        "nfs",
        "nfs4",
        "ocfs2",
        "smb2",
        "smb3",
        "smbfs",
        "webdav",
    }
)
WINDOWS_REMOTE_DRIVE = 4  # DRIVE_REMOTE, GetDriveTypeW


def network_file_system(folder: Path) -> str | None:
    """The kind of network file system `folder` is on; None if it is local or not known."""
    folder = folder.resolve()
    if sys.platform == "win32":
        return _on_windows(folder)
    if sys.platform == "darwin":
        mounts = _mounts_on_macos()
    else:
        mounts = _mounts_on_linux()
    kind = kind_of_mount(folder, mounts)
    return kind if kind in NETWORK_KINDS else None


def kind_of_mount(folder: Path, mounts: list[tuple[str, str]]) -> str | None:
    """The kind of the innermost of `mounts` (mount point, kind) that holds `folder`.

    Of two mounts on one point the later hides the earlier.
    """
    best: tuple[int, str] | None = None
    for point, kind in mounts:
        if folder == Path(point) or Path(point) in folder.parents:
            depth = len(Path(point).parts)
            if best is None or depth >= best[0]:
                best = (depth, kind)
    return best[1] if best else None


def _mounts_on_linux() -> list[tuple[str, str]]:
    try:
        text = Path("/proc/self/mounts").read_text("utf-8", "surrogateescape")
    except OSError:
        return []
    return parse_linux_mounts(text)


def parse_linux_mounts(text: str) -> list[tuple[str, str]]:
    """Mount points and kinds out of `/proc/self/mounts`; blanks come as octal escapes there."""
    mounts = []
    for line in text.splitlines():
        fields = line.split(" ")
        if len(fields) >= 3:
            point = fields[1].replace("\\040", " ").replace("\\011", "\t").replace("\\134", "\\")
            mounts.append((point, fields[2]))
    return mounts


def _mounts_on_macos() -> list[tuple[str, str]]:
    try:
        done = subprocess.run(
            ["/sbin/mount"], capture_output=True, text=True, timeout=5, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return []
    return parse_macos_mounts(done.stdout)


def parse_macos_mounts(text: str) -> list[tuple[str, str]]:
    """Mount points and kinds out of `mount`: `//server/share on /Volumes/x (smbfs, nodev)`."""
    mounts = []
    for line in text.splitlines():
        before, bracket, after = line.rpartition(" (")
        _, on, point = before.partition(" on ")
        if bracket and on:
            mounts.append((point, after.split(",")[0].rstrip(")")))
    return mounts


def _on_windows(folder: Path) -> str | None:
    if folder.drive.startswith("\\\\"):
        return "a network share"
    if sys.platform == "win32":
        kernel = ctypes.WinDLL("kernel32")
        if kernel.GetDriveTypeW(folder.anchor) == WINDOWS_REMOTE_DRIVE:
            return "a network drive"
    return None
