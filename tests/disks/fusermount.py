"""What FUSE servers call to mount a folder, for root: `fusermount3 -o … FOLDER`, and `-u FOLDER` to unmount it.

So that tests can mount without the package that brings the real one. The caller gets the open device over the socket
whose number is in `_FUSE_COMMFD`.
"""

import array
import ctypes
import os
import socket
import sys

_NOSUID_NODEV, _DETACH = 2 | 4, 2


def main() -> None:
    """Mount or unmount."""
    libc = ctypes.CDLL(None, use_errno=True)
    folder = os.fsencode(sys.argv[-1])
    if "-u" in sys.argv:
        sys.exit(libc.umount2(folder, _DETACH))
    device = os.open("/dev/fuse", os.O_RDWR)
    options = f"fd={device},rootmode=40000,user_id=0,group_id=0".encode()
    if libc.mount(b"test", folder, b"fuse", _NOSUID_NODEV, options) != 0:
        sys.exit(os.strerror(ctypes.get_errno()))
    with socket.socket(fileno=int(os.environ["_FUSE_COMMFD"])) as caller:
        caller.sendmsg([b"\0"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [device]))])


if __name__ == "__main__":
    main()
