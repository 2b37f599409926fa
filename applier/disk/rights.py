"""Gives a staged file the rights that it is to have under its final name, before it gets that name.

A healed file keeps mode, owner, group, access control list and extended attributes of the file that it replaces, as far
as we may set them; where we may not, it is closed rather than open to more people. A new file gets what any file gets
that is created in its folder (umask, setgid, default access control list). Staged files are in a folder that only we
may enter, so that nobody can read them before.
"""

import errno
import logging
import os
import secrets
import stat
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field

from applier.disk.folders import closing_descriptor, create_file

logger = logging.getLogger(__name__)

_ACCESS_LISTS = ("system.posix_acl_access", "system.nfs4_acl", "system.richacl")
_DEFAULT_LIST = "system.posix_acl_default"
_KEPT_ATTRIBUTES = ("user.", "security.selinux")
_PERMISSIONS = 0o777
# How file systems without modes, or whose modes the mount decides, answer chmod.
_NO_MODES = frozenset({errno.EPERM, errno.EACCES, errno.ENOSYS, errno.ENOTSUP})


@dataclass(frozen=True, slots=True, kw_only=True)
class Rights:
    """Who may do what with a file.

    Args:
        owner: user id.
        group: group id.
        mode: permission bits.
        access_lists: by the attribute that holds them; None to leave those that are there.
        attributes: extended attributes that belong to the content.
    """

    owner: int
    group: int
    mode: int
    access_lists: Mapping[str, bytes] | None = None
    attributes: Mapping[str, bytes] = field(default_factory=dict)


def rights_of(name: str, folder: int) -> Rights:
    """Return the rights of a file, which need not be readable.

    Raises:
        OSError: it is not there.
    """
    with closing_descriptor(os.open(name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)) as descriptor:
        return _rights(descriptor)


def rights_of_new_file(folder: int, staging: int, sample: os.stat_result) -> Rights:
    """Return the rights that a file gets which is created in a folder.

    Args:
        folder: the final folder.
        staging: the staging folder.
        sample: status of a file that this run has created in the staging folder.
    """
    if _default_list(folder) != _default_list(staging) and (probed := _rights_of_probe(folder)) is not None:
        return probed
    final = os.fstat(folder)
    if final.st_mode & stat.S_ISGID:
        group = final.st_gid
    else:
        group = os.getegid() if os.fstat(staging).st_mode & stat.S_ISGID else sample.st_gid
    return Rights(owner=sample.st_uid, group=group, mode=sample.st_mode & _PERMISSIONS)


def are_plain(wanted: Rights, sample: os.stat_result) -> bool:
    """Tell whether a file that this run creates in the staging folder, like the sample, has these rights as it is."""
    same_owners = (wanted.owner, wanted.group) == (sample.st_uid, sample.st_gid)
    return same_owners and wanted.mode == stat.S_IMODE(sample.st_mode) and wanted.access_lists is None


def give_rights(wanted: Rights, name: str, folder: int) -> None:
    """Give a file of our own rights, as far as we may; where we may not, close it to all who might get more.

    Args:
        wanted: the rights.
        name: of the file.
        folder: where it is; nobody else may enter it.
    """
    found = os.stat(name, dir_fd=folder, follow_symlinks=False)
    if (found.st_uid, found.st_gid) != (wanted.owner, wanted.group):
        _give_away(wanted, name, folder)
        found = os.stat(name, dir_fd=folder, follow_symlinks=False)
    path = f"/proc/self/fd/{folder}/{name}"
    has_lists = wanted.access_lists is None or _set_access_lists(path, wanted.access_lists)
    for attribute, value in wanted.attributes.items():
        _set_attribute(path, attribute, value)
    same_owner, same_group = found.st_uid == wanted.owner, found.st_gid == wanted.group
    mode = _closed_mode(wanted.mode, same_owner=same_owner, same_group=same_group)
    if wanted.access_lists and not (has_lists and same_group):
        mode &= 0o700
        _set_access_lists(path, {})
    if wanted.access_lists is not None or mode != stat.S_IMODE(found.st_mode):
        try:
            os.chmod(name, mode, dir_fd=folder)
        except OSError as error:
            if error.errno not in _NO_MODES:
                raise


def _closed_mode(mode: int, *, same_owner: bool, same_group: bool) -> int:
    """Return a mode that gives nobody more than the wanted one does, where owner or group cannot be set.

    The owner, who may change the mode anyway, can read in any case: what nobody can read is healed again and again.
    """
    owner, group, others = mode >> 6 & 7, mode >> 3 & 7, mode & 7
    if not same_group:  # who was in the group is one of the others now, and the other way round
        group = others = group & others
    if not same_owner:
        group, others = group & owner, others & owner
    return (owner | 4) << 6 | group << 3 | others


def _rights(descriptor: int) -> Rights:
    status = os.fstat(descriptor)
    path = f"/proc/self/fd/{descriptor}"
    names: list[str] = []
    with suppress(OSError):
        names = os.listxattr(path)
    found = {name: value for name in names if (value := _attribute(path, name)) is not None}
    return Rights(
        owner=status.st_uid,
        group=status.st_gid,
        mode=status.st_mode & _PERMISSIONS,
        access_lists={name: value for name, value in found.items() if name in _ACCESS_LISTS},
        attributes={name: value for name, value in found.items() if name.startswith(_KEPT_ATTRIBUTES)},
    )


def _attribute(path: str, name: str) -> bytes | None:
    try:
        return os.getxattr(path, name)
    except OSError:
        return None


def _default_list(folder: int) -> bytes | None:
    """Return the access control list that new files in a folder inherit; None without one."""
    try:
        return os.getxattr(folder, _DEFAULT_LIST)
    except OSError:  # there is none, or the file system has no such thing
        return None


def _rights_of_probe(folder: int) -> Rights | None:
    """Return the rights of a file that is created in a folder for nothing else, without a name where that can be."""
    try:
        with closing_descriptor(os.open(".", os.O_TMPFILE | os.O_RDWR | os.O_CLOEXEC, 0o666, dir_fd=folder)) as probe:
            return _rights(probe)
    except OSError as error:
        if error.errno not in {errno.EOPNOTSUPP, errno.EISDIR, errno.EINVAL, errno.ENOENT}:
            return None
    name = f".kraken-plan-{secrets.token_hex(8)}"
    try:
        with closing_descriptor(create_file(name, folder)) as probe:
            os.unlink(name, dir_fd=folder)
            return _rights(probe)
    except OSError:  # what it gets then is what a staged file has
        return None


def _give_away(wanted: Rights, name: str, folder: int) -> None:
    for owner, group in ((wanted.owner, wanted.group), (-1, wanted.group)):
        with suppress(OSError):
            os.chown(name, owner, group, dir_fd=folder, follow_symlinks=False)
            return


def _set_access_lists(path: str, wanted: Mapping[str, bytes]) -> bool:
    """Set access control lists, remove what was inherited, and return whether all could be set."""
    for name in _ACCESS_LISTS:
        if name not in wanted:
            with suppress(OSError):
                os.removexattr(path, name)
    return all(_set_attribute(path, name, value) for name, value in wanted.items())


def _set_attribute(path: str, name: str, value: bytes) -> bool:
    try:
        os.setxattr(path, name, value)
    except OSError as error:
        logger.debug("%s cannot be set: %s", name, error.strerror)
        return False
    return True
