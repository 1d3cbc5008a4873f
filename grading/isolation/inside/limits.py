"""What one exercise may use in the sandbox, unless a course says otherwise: time, memory, files, processes, output.

Known to the sandbox: nothing here may import the reference solutions or the keys.
"""

from dataclasses import dataclass

MB = 2**20


@dataclass(frozen=True)
class Limits:
    """The limits of one exercise. The reference solutions need less than a second and 100 MB each."""

    wall_seconds: float = 30.0
    cpu_seconds: int = 60
    memory_bytes: int = 2048 * MB  # of address space, over what the libraries take themselves
    file_bytes: int = 16 * MB
    tmp_bytes: int = 64 * MB  # all files together
    processes: int = 64  # and threads
    open_files: int = 64
    output_bytes: int = 10_000  # what is printed beyond is dropped
    reply_bytes: int = 64 * MB
