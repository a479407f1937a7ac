# SPDX-License-Identifier: EUPL-1.2
"""Opening a file that we write: it is one that we made, or may be made."""

import errno
import os
import stat
from pathlib import Path


def open_own(path: Path) -> int:
    """A descriptor to read and write the file, which is made with mode 0600 where it is not there.

    Raises OSError, also for what is no regular file: /dev/null would get our mode, and a pipe be waited for.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NONBLOCK, 0o600)
    if stat.S_ISREG(os.fstat(descriptor).st_mode):
        return descriptor
    os.close(descriptor)
    raise OSError(errno.EINVAL, "is no regular file: choose another name", str(path))
