"""The exceptions DenSNet raises.

Every message says what is wrong, where (file and key, step, atom), and what to do about it. The
command line turns any :class:`DensnetError` into one line on stderr and exit status 2.
"""


class DensnetError(Exception):
    """Base of every error that DenSNet raises on purpose."""


class InputError(DensnetError, ValueError):
    """An argument, a configuration or a file holds something that cannot be used."""


class UnitsError(InputError):
    """Numbers whose size shows that they are in another unit."""


class AtomOrderError(InputError):
    """Atoms are missing, added, or in another order than expected."""


class UnknownElementError(InputError):
    """An element for which the basis or the model has no parameters."""


class MissingLabelError(InputError):
    """A target that was asked for is absent from the data."""


class NonFiniteError(InputError):
    """A NaN or an infinity where a finite number is needed."""


class DataError(DensnetError):
    """A data file is truncated, corrupted or of another format."""


class BundleError(DensnetError):
    """A model bundle is incomplete, altered, or does not reproduce its probes."""


class ConvergenceError(DensnetError):
    """An iterative calculation did not converge after every fallback."""


class ProtocolError(DensnetError):
    """The peer on a socket sent something that the i-PI protocol does not allow."""


class SimulationError(DensnetError):
    """A molecular-dynamics run stopped before its end."""
