"""Detects file systems on which SQLite's locks and log cannot be trusted.

A journal needs locks that hold for every process that can open the file, and a sync after which the
data is on a disk. Where both are the machine's own, it is safe. A network, cluster or object store
may keep neither.
"""

from __future__ import annotations

import ctypes
import re
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

# The kernel's own network and cluster file systems.
NETWORK_KINDS = frozenset(
    {
        *("9p", "acfs", "afpfs", "afs", "auristorfs", "beegfs", "ceph", "cifs", "coda", "davfs"),
        *("gfs2", "glusterfs", "gpfs", "lustre", "ncpfs", "nfs", "nfs4", "ocfs2", "orangefs"),
        *("panfs", "pvfs2", "smb2", "smb3", "smbfs", "webdav", "wekafs"),
    }
)
# FUSE file systems have any name, and most of them are object stores or networks: only these keep
# their files on the machine's own disks. `fuseblk` mounts a disk, whatever the subtype.
FUSE_KINDS = ("fuse", "macfuse", "osxfuse")
LOCAL_FUSE = frozenset(
    {
        *("bindfs", "cryfs", "encfs", "ext4", "fuse-ext2", "fuse-overlayfs", "fuse2fs"),
        *("gocryptfs", "mergerfs", "ntfs-3g", "securefs", "shfs", "unionfs", "unionfs-fuse"),
        # Folders that a host shares with its virtual machine, as of the kinds not listed above:
        # virtiofs, vboxsf, prl_fs, drvfs, fakeowner. The host's disk holds the data.
        *("grpcfuse", "osxfs", "vmhgfs-fuse"),
    }
)
# 9p over these is such a shared folder too, as WSL's /mnt/c; over others it is a network.
LOCAL_9P = frozenset({"fd", "unix", "virtio", "xen"})
WINDOWS_REMOTE_DRIVE = 4  # DRIVE_REMOTE, GetDriveTypeW


class Mount(NamedTuple):
    """A mounted file system. `options` are separated by commas."""

    point: str
    kind: str
    options: str = ""


def network_file_system(folder: Path) -> str | None:
    """Names the file system of `folder` if it cannot be trusted; None if it is local or unknown."""
    folder = folder.resolve()
    if sys.platform == "win32":
        return _on_windows(folder)
    if sys.platform == "darwin":
        mounts = _mounts_on_macos()
    else:
        mounts = _mounts_on_linux()
    mount = innermost_mount(folder, mounts)
    return None if mount is None else untrusted(mount)


def untrusted(mount: Mount) -> str | None:
    """Names the mount's file system if a journal on it is not safe; None if it is."""
    kind, _, name = mount.kind.partition(".")
    if kind in FUSE_KINDS:
        return None if name in LOCAL_FUSE else f"a FUSE file system ({mount.kind})"
    if mount.kind not in NETWORK_KINDS:
        return None
    transport = re.search(r"(?:^|,)trans=(\w+)", mount.options)
    if mount.kind == "9p" and transport and transport[1] in LOCAL_9P:
        return None
    return f"a network file system ({mount.kind})"


def innermost_mount(folder: Path, mounts: list[Mount]) -> Mount | None:
    """The innermost mount that holds `folder`. Of two on one point the later hides the earlier."""
    best: tuple[int, Mount] | None = None
    for mount in mounts:
        point = Path(mount.point)
        if folder == point or point in folder.parents:
            depth = len(point.parts)
            if best is None or depth >= best[0]:
                best = (depth, mount)
    return best[1] if best else None


def _mounts_on_linux() -> list[Mount]:
    try:
        text = Path("/proc/self/mounts").read_text("utf-8", "surrogateescape")
    except OSError:
        return []
    return parse_linux_mounts(text)


def parse_linux_mounts(text: str) -> list[Mount]:
    """The mounts in `/proc/self/mounts`, where blanks and the like are octal escapes."""
    mounts = []
    for line in text.split("\n"):
        fields = line.split(" ")
        if len(fields) >= 4:
            point = re.sub(r"\\([0-7]{3})", lambda octal: chr(int(octal[1], 8)), fields[1])
            mounts.append(Mount(point, fields[2], fields[3]))
    return mounts


def _mounts_on_macos() -> list[Mount]:
    try:
        done = subprocess.run(
            ["/sbin/mount"], capture_output=True, text=True, timeout=5, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return []
    return parse_macos_mounts(done.stdout)


def parse_macos_mounts(text: str) -> list[Mount]:
    """The mounts in the output of `mount`: `//server/share on /Volumes/x (smbfs, nodev)`."""
    mounts = []
    for line in text.splitlines():
        before, bracket, after = line.rpartition(" (")
        _, on, point = before.partition(" on ")
        if bracket and on:
            kind, _, options = after.rstrip(")").partition(",")
            mounts.append(Mount(point, kind, options.replace(", ", ",").strip()))
    return mounts


def _on_windows(folder: Path) -> str | None:
    if folder.drive.startswith("\\\\"):
        return "a network share"
    if sys.platform == "win32":
        kernel = ctypes.WinDLL("kernel32")
        if kernel.GetDriveTypeW(folder.anchor) == WINDOWS_REMOTE_DRIVE:
            return "a network drive"
    return None
