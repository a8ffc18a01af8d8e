"""The JSON object that travels with every frame.

i-PI hangs for good when extras are a JSON list, contain the key ``raw`` or are not UTF-8, and stops
when a key that an output asks for is missing from one frame: the keys are the same in every frame,
the numbers finite (the guard has looked), the bytes ASCII.
"""

import json

from ipi_driver.evaluate import Evaluation


def encode_frame_extras(evaluation: Evaluation) -> list[bytes]:
    """Return one JSON object a structure, ``{"dipole": [x, y, z]}`` in e·bohr.

    Numbers are written with as many digits as they need to be read back exactly.
    """
    return [
        json.dumps({"dipole": dipole}, allow_nan=False).encode("ascii")
        for dipole in evaluation.dipoles.tolist()
    ]
