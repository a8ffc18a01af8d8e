"""The decoder on whole, cut, wrong and random byte streams; the encoder against its description."""

import contextlib
import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from densnet.errors import AtomOrderError, DensnetError, ProtocolError
from ipi_driver.protocol import (
    MAX_INIT_BYTES,
    Decoder,
    Init,
    PositionData,
    SegmentData,
    Signal,
    encode_forces,
    encode_header,
)

N_ATOMS = 3
HEADERS = [b"STATUS      ", b"INIT        ", b"POSDATA     ", b"GETFORCE    ", b"EXIT        "]


def posdata(rng: np.random.Generator, n_batch: int = 1) -> tuple[bytes, np.ndarray, np.ndarray]:
    """A POSDATA message, its cells (vectors in columns) and its positions."""
    cells = np.triu(rng.normal(size=(n_batch, 3, 3))) + 10.0 * np.eye(3)
    positions = rng.normal(size=(n_batch, N_ATOMS, 3))
    both = b"".join(h.tobytes() + np.linalg.inv(h).tobytes() for h in cells)
    if n_batch == 1:
        body = both + struct.pack("i", N_ATOMS) + positions.tobytes()
    else:
        body = struct.pack("i", N_ATOMS) + both + positions.tobytes()
    return b"POSDATA     " + body, cells, positions


def init(text: str) -> bytes:
    return b"INIT        " + struct.pack("ii", 4, len(text)) + text.encode()


def drain(decoder: Decoder) -> list[object]:
    messages = []
    while (message := decoder.next_message()) is not None:
        messages.append(message)
    return messages


def test_a_stream_cut_into_single_bytes_gives_the_same_messages(rng: np.random.Generator) -> None:
    data, _, positions = posdata(rng)
    stream = b"STATUS      " + init(" a : 1 , ") + data + b"GETFORCE    EXIT        "
    decoder = Decoder(N_ATOMS)
    messages = []
    for byte in stream:
        decoder.feed(bytes([byte]))
        messages += drain(decoder)
    assert [type(m) for m in messages] == [Signal, Init, PositionData, Signal, Signal]
    assert (messages[0], messages[3], messages[4]) == (
        Signal.STATUS,
        Signal.GETFORCE,
        Signal.EXIT,
    )
    received = messages[2]
    assert isinstance(received, PositionData)
    np.testing.assert_array_equal(received.positions, positions)
    assert decoder.waiting_bytes == 0


def test_lattice_vectors_arrive_as_rows(rng: np.random.Generator) -> None:
    data, cells, _ = posdata(rng)
    decoder = Decoder(N_ATOMS)
    decoder.feed(data)
    message = decoder.next_message()
    assert isinstance(message, PositionData)
    np.testing.assert_array_equal(message.cells[0], cells[0].T)
    np.testing.assert_allclose(message.cells[0] @ message.inverse_cells[0], np.eye(3), atol=1e-12)


def test_a_batch_announced_by_init_is_read_whole(rng: np.random.Generator) -> None:
    data, cells, positions = posdata(rng, n_batch=5)
    decoder = Decoder(N_ATOMS)
    decoder.feed(init(" model : x ,  batch_size:5") + data[:-1])
    assert len(drain(decoder)) == 1
    decoder.feed(data[-1:])
    message = decoder.next_message()
    assert isinstance(message, PositionData)
    np.testing.assert_array_equal(message.positions, positions)
    np.testing.assert_array_equal(message.cells, cells.transpose(0, 2, 1))


def test_parameters_of_init_are_read_as_ipi_writes_them() -> None:
    message = Init(0, " elements : C C O , charge : 0 ,  batch_size:8")
    assert message.parameters == {"elements": "C C O", "charge": "0", "batch_size": "8"}
    assert message.batch_size == 8
    assert Init(0, " ").batch_size == 1


@pytest.mark.parametrize("written", ["0", "-3", "many", "1e9", "99999999"])
def test_a_senseless_batch_size_is_refused(written: str) -> None:
    decoder = Decoder(N_ATOMS)
    decoder.feed(init(f"batch_size:{written}"))
    with pytest.raises(ProtocolError, match="batch_size"):
        decoder.next_message()


def test_another_number_of_atoms_is_refused_before_it_is_read(rng: np.random.Generator) -> None:
    data, _, _ = posdata(rng)
    decoder = Decoder(N_ATOMS + 1)
    decoder.feed(data[: 12 + 148])
    with pytest.raises(AtomOrderError, match=r"sends 3 atoms, the model .* of 4"):
        decoder.next_message()


def test_an_unknown_number_of_atoms_is_taken_from_the_first_frame(
    rng: np.random.Generator,
) -> None:
    data, _, _ = posdata(rng)
    decoder = Decoder(None)
    decoder.feed(data + data)
    assert len(drain(decoder)) == 2
    assert decoder.n_atoms == N_ATOMS
    for n_atoms in (-1, 10**9):
        decoder = Decoder(None)
        decoder.feed(b"POSDATA     " + bytes(144) + struct.pack("i", n_atoms))
        with pytest.raises(ProtocolError, match=str(n_atoms)):
            decoder.next_message()


def test_a_length_that_cannot_be_is_refused_before_it_is_read() -> None:
    for length in (MAX_INIT_BYTES + 1, -1):
        decoder = Decoder(N_ATOMS)
        decoder.feed(b"INIT        " + struct.pack("ii", 0, length))
        with pytest.raises(ProtocolError, match=str(length)):
            decoder.next_message()


def test_a_batch_beyond_the_memory_limit_is_refused() -> None:
    decoder = Decoder(10_000)
    decoder.feed(init("batch_size:1000"))
    with pytest.raises(ProtocolError, match="lower batch_size"):
        decoder.next_message()


def test_a_foreign_header_is_named() -> None:
    decoder = Decoder(N_ATOMS)
    decoder.feed(b"GET / HTTP/1.1\r\n")
    with pytest.raises(ProtocolError, match="GET / HTTP"):
        decoder.next_message()


def test_options_that_are_not_utf8_are_refused() -> None:
    decoder = Decoder(N_ATOMS)
    decoder.feed(b"INIT        " + struct.pack("ii", 0, 2) + b"\xff\xfe")
    with pytest.raises(ProtocolError, match="UTF-8"):
        decoder.next_message()


def test_segments_of_shared_memory_are_named_once() -> None:
    names = [f"ipi_shm_{kind}" for kind in ("pos", "h", "ih", "pot", "force", "vir")]
    announced = b"".join(struct.pack("i", len(name)) + name.encode() for name in names)
    decoder = Decoder(N_ATOMS, shared_memory=True)
    first = b"POSDATA     " + struct.pack("i", N_ATOMS)
    decoder.feed(first + announced[:-1])
    assert decoder.next_message() is None
    decoder.feed(announced[-1:] + first)
    message = decoder.next_message()
    assert isinstance(message, SegmentData)
    assert message.names is not None
    assert list(message.names.values()) == names
    assert decoder.next_message() == SegmentData(None)


def test_headers_have_twelve_bytes() -> None:
    for name in ("NEEDINIT", "READY", "HAVEDATA", "FORCEREADY"):
        assert len(encode_header(name)) == 12


def test_forces_are_laid_out_as_described(rng: np.random.Generator) -> None:
    energies, forces = rng.normal(size=2), rng.normal(size=(2, N_ATOMS, 3))
    virials = rng.normal(size=(2, 3, 3))
    extras = [b"{}", '{"a": "é"}'.encode()]
    data = encode_forces(energies, forces, virials, extras, batched=True)
    expected = b"FORCEREADY  " + energies.tobytes() + struct.pack("i", N_ATOMS) + forces.tobytes()
    expected += virials.tobytes() + struct.pack("i", 2) + extras[0]
    expected += struct.pack("i", 11) + extras[1]
    assert data == expected


def test_two_results_for_one_structure_are_refused(rng: np.random.Generator) -> None:
    with pytest.raises(ProtocolError, match="2 results"):
        encode_forces(
            np.zeros(2), np.zeros((2, 3, 3)), np.zeros((2, 3, 3)), [b"", b""], batched=False
        )


fragments = st.one_of(
    st.sampled_from(HEADERS),
    st.binary(max_size=200),
    st.integers(-(2**31), 2**31 - 1).map(lambda i: struct.pack("i", i)),
    st.integers(0, 300).map(lambda n: b"INIT        " + struct.pack("ii", 0, n) + b"x" * n),
    st.integers(-1, 2**20).map(lambda n: init(f"batch_size : {n}")),
    st.just(b"POSDATA     " + bytes(144) + struct.pack("i", N_ATOMS) + bytes(24 * N_ATOMS)),
)


@settings(max_examples=300, deadline=None)
@given(st.lists(fragments, max_size=12), st.booleans(), st.integers(1, 64))
def test_random_bytes_give_messages_or_a_clear_error(
    parts: list[bytes], shared_memory: bool, chunk: int
) -> None:
    stream = b"".join(parts)
    decoder = Decoder(N_ATOMS, shared_memory=shared_memory)
    with contextlib.suppress(DensnetError):
        for start in range(0, len(stream), chunk):
            decoder.feed(stream[start : start + chunk])
            drain(decoder)
    assert decoder.waiting_bytes <= len(stream)
