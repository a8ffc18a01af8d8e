"""The shared-memory transport of i-PI 3.3 (``mode='shm'``), seen from the driver.

The server owns six segments a client; the driver attaches to them by the names it is told with the
first request. The socket carries only headers and extras.
"""

from multiprocessing import resource_tracker, shared_memory

import numpy as np
from numpy.typing import NDArray

from densnet.errors import ProtocolError
from ipi_driver.evaluate import Evaluation
from ipi_driver.protocol import PositionData


class Segments:
    """Positions to read from and results to write to the server's memory.

    Parameters
    ----------
    names : dict
        Name of each segment, by kind.
    n_batch, n_atoms : int
        Structures in a request and atoms in a structure.

    Raises
    ------
    ProtocolError
        If a segment does not exist or is too small for its array.
    """

    def __init__(self, names: dict[str, str], n_batch: int, n_atoms: int) -> None:
        shapes = {
            "pos": (n_batch, n_atoms, 3),
            "h": (n_batch, 3, 3),
            "ih": (n_batch, 3, 3),
            "pot": (n_batch,),
            "force": (n_batch, n_atoms, 3),
            "vir": (n_batch, 3, 3),
        }
        self._memory: list[shared_memory.SharedMemory] = []
        self._arrays: dict[str, NDArray[np.float64]] = {}
        for kind, shape in shapes.items():
            memory = _attach(names[kind])
            self._memory.append(memory)
            if memory.size < 8 * int(np.prod(shape)):
                self.close()
                raise ProtocolError(
                    f"the shared segment {names[kind]!r} holds {memory.size} bytes, too few for "
                    f"{kind} of {n_batch} structures of {n_atoms} atoms"
                )
            self._arrays[kind] = np.ndarray(shape, np.float64, buffer=memory.buf)

    def read_positions(self) -> PositionData:
        """Copy the request out of the shared memory, lattice vectors as rows."""
        return PositionData(
            self._arrays["h"].transpose(0, 2, 1).copy(),
            self._arrays["ih"].transpose(0, 2, 1).copy(),
            self._arrays["pos"].copy(),
        )

    def write_results(self, evaluation: Evaluation) -> None:
        """Put the results where the server reads them, before FORCEREADY is sent."""
        self._arrays["pot"][:] = evaluation.energies
        self._arrays["force"][:] = evaluation.forces
        self._arrays["vir"][:] = evaluation.virials

    def close(self) -> None:
        """Detach; the server removes the segments."""
        self._arrays.clear()
        while self._memory:
            self._memory.pop().close()


def _attach(name: str) -> shared_memory.SharedMemory:
    try:
        memory = shared_memory.SharedMemory(name=name)
    except (FileNotFoundError, ValueError, OSError) as error:
        raise ProtocolError(
            f"the shared segment {name!r} that i-PI announced cannot be opened ({error}); driver "
            "and server must run on the same machine, in the same container"
        ) from error
    # Python registers a segment for removal on attaching (until 3.13); the server owns this one.
    resource_tracker.unregister(f"/{name.lstrip('/')}", "shared_memory")
    return memory
