"""Token files: exact round trips, equal bytes, and refusal of everything that is not an undamaged token file."""

import io
import json
import os
import pickle
import subprocess
import sys
import zipfile
import zlib

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tokaudio.errors import OutputError, TokensError
from tokaudio.spec import CodebookSpec, TokenizerSpec
from tokaudio.storage import load_tokens, save_tokens
from tokaudio.storage.npz import read_header, read_npz, write_npz
from tokaudio.tokens import Tokens

TINY = TokenizerSpec("a", "semantic", 8000, 400, (CodebookSpec(4),))
RICH = TokenizerSpec("rich", "hybrid", 16_000, 320, (CodebookSpec(9, role="semantic"), CodebookSpec(70_000)))


def tiny() -> Tokens:
    return Tokens.from_codes(torch.tensor([[3, 0, 2]]), TINY)


def rich() -> Tokens:
    return Tokens(
        torch.tensor([[[8, 0, 2, 1], [69_999, 0, 5, 0]]]),
        torch.tensor([4]),
        torch.tensor([1000]),
        RICH,
        "0123abcd",
        {"item_speaker": torch.tensor([[0.5, -2.0]]), "frame_voiced": torch.tensor([[True, False, True, True]])},
        torch.tensor([[2, 0, 2, 1]]),
        {"resampler": "soxr HQ 1.0", "source": "größe.wav"},
    )


def members(path):
    with zipfile.ZipFile(path) as container:
        return {name: container.read(name) for name in container.namelist()}


def forge(path, contents, compression=zipfile.ZIP_STORED, *, checksum=True):
    """Write a zip of raw members, with the checksum that the format asks for."""
    contents = dict(contents)
    if checksum:
        rank = ["header.npy", "codes.npy", "num_samples.npy", "depth.npy"]
        names = [name for name in rank if name in contents] + sorted(n for n in contents if n.startswith("extras/"))
        crc = 0
        for name in names:
            crc = zlib.crc32(contents[name], crc)
        contents["crc.npy"] = npy(np.array(crc, "<u4"))
    with zipfile.ZipFile(path, "w", compression) as container:
        for name, content in contents.items():
            container.writestr(name, content)
    return path


def npy(array):
    buffer = io.BytesIO()
    np.lib.format.write_array(buffer, np.asarray(array), version=(1, 0), allow_pickle=True)
    return buffer.getvalue()


def npy_header(text, payload=b""):
    head = text.encode() + b"\n"
    return b"\x93NUMPY\x01\x00" + len(head).to_bytes(2, "little") + head + payload


def edit_header(contents, **changes):
    header = json.loads(np.load(io.BytesIO(contents["header.npy"])).tobytes()) | changes
    raw = json.dumps({key: value for key, value in header.items() if value is not ...}).encode()
    return contents | {"header.npy": npy(np.frombuffer(raw, np.uint8))}


def refused(path, *words, read=read_npz):
    with pytest.raises(TokensError) as caught:
        read(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: ") and "; " in message and message.isprintable()
    for word in words:
        assert word in message
    return message


@pytest.mark.parametrize("make", [tiny, rich])
def test_round_trip_is_exact(tmp_path, make):
    write_npz(tmp_path / "a.npz", make())
    loaded = read_npz(tmp_path / "a.npz")
    assert loaded == make() and loaded.provenance == make().provenance


@settings(max_examples=25, deadline=None)
@given(data=st.data(), frames=st.integers(0, 6), size=st.sampled_from([1, 2, 256, 257, 65_536, 65_537, 2**32]))
def test_round_trip_of_any_tokens(tmp_path_factory, data, frames, size):
    spec = TokenizerSpec("any", "compression", 44_100, 512, (CodebookSpec(size), CodebookSpec(2)))
    row = data.draw(st.lists(st.integers(0, size - 1), min_size=frames, max_size=frames))
    codes = torch.tensor([[row, [1] * frames]], dtype=torch.int64)
    samples = torch.tensor([data.draw(st.integers(0, 2**62))])
    tokens = Tokens(codes, torch.tensor([frames]), samples, spec, data.draw(st.sampled_from(["", "ff"])))
    path = tmp_path_factory.mktemp("any") / "a.npz"
    write_npz(path, tokens)
    assert read_npz(path) == tokens
    assert np.load(path)["codes"].dtype == (np.uint16 if size <= 65_536 else np.uint32)


@pytest.mark.parametrize("dtype", [torch.bool, torch.uint8, torch.int16, torch.uint32, torch.float16, torch.float64])
def test_extras_keep_dtype_and_shape(tmp_path, dtype):
    for shape in [(1,), (1, 0), (1, 2, 3)]:
        extra = torch.ones(shape).to(dtype)
        tokens = Tokens(
            torch.zeros(1, 1, 2, dtype=torch.int64), torch.tensor([2]), torch.tensor([9]), TINY, "", {"x": extra}
        )
        write_npz(tmp_path / "a.npz", tokens, overwrite=True)
        assert read_npz(tmp_path / "a.npz") == tokens


def test_plain_numpy_reads_the_file(tmp_path):
    write_npz(tmp_path / "a.npz", rich())
    with np.load(tmp_path / "a.npz", allow_pickle=False) as file:
        header = json.loads(file["header"].tobytes())
        assert file["codes"].tolist() == rich().codes[0].tolist()
        assert (file["num_samples"].dtype, int(file["num_samples"])) == (np.int64, 1000)
        assert file["depth"].dtype == np.uint8 and file["depth"].tolist() == [2, 0, 2, 1]
        assert file["extras/item_speaker"].tolist() == [0.5, -2.0]
    assert header["format"] == "tokaudio-tokens" and header["version"] == 1 and header["tokenizer"] == "rich"
    assert header["provenance"]["resampler"] == "soxr HQ 1.0" and header["fingerprint"] == "0123abcd"
    assert TokenizerSpec.from_dict(header["spec"]) == RICH


def test_same_tokens_give_the_same_bytes(tmp_path):
    write_npz(tmp_path / "a.npz", rich())
    padded = rich()
    shuffled = Tokens(
        padded.codes.clone(), padded.lengths, padded.num_samples, RICH, padded.fingerprint,
        dict(reversed(padded.extras.items())), padded.depth, dict(reversed(padded.provenance.items())),
    )  # fmt: skip
    write_npz(tmp_path / "b.npz", shuffled)
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()
    with zipfile.ZipFile(tmp_path / "a.npz") as container:
        assert {info.date_time for info in container.infolist()} == {(1980, 1, 1, 0, 0, 0)}


def test_deflated_and_reordered_members_are_read(tmp_path):
    write_npz(tmp_path / "a.npz", rich())
    backwards = dict(reversed(members(tmp_path / "a.npz").items()))
    assert read_npz(forge(tmp_path / "b.npz", backwards, zipfile.ZIP_DEFLATED)) == rich()


def test_flip_in_the_payload_is_refused_even_with_a_right_zip_checksum(tmp_path):
    write_npz(tmp_path / "a.npz", tiny())
    contents = members(tmp_path / "a.npz")
    for name in ["codes.npy", "num_samples.npy", "header.npy"]:
        changed = bytearray(contents[name])
        changed[-2] ^= 1
        refused(forge(tmp_path / "b.npz", contents | {name: bytes(changed)}, checksum=False))
    refused(forge(tmp_path / "b.npz", contents | {"crc.npy": npy(np.uint32(7))}, checksum=False), "checksum")


@pytest.mark.parametrize(
    "shape", ["(100000000000,)", "(1, 100000000000)", "(9999999999999999999, 9999999999999999999)", "(1, 2)"]
)
def test_forged_shape_is_refused_before_allocation(tmp_path, shape):
    write_npz(tmp_path / "a.npz", tiny())
    codes = npy_header(f"{{'descr': '<u2', 'fortran_order': False, 'shape': {shape}, }}", b"\0" * 6)
    forge(tmp_path / "b.npz", members(tmp_path / "a.npz") | {"codes.npy": codes})
    refused(tmp_path / "b.npz", "codes")


def test_pickles_are_never_opened(tmp_path):
    class Bomb:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "exploded"),)

    write_npz(tmp_path / "a.npz", tiny())
    contents = members(tmp_path / "a.npz")
    bomb = npy(np.array([Bomb()], dtype=object))
    for name in ["codes.npy", "header.npy", "crc.npy"]:
        refused(
            forge(tmp_path / "b.npz", contents | {name: bomb}, checksum=name != "crc.npy"), "pickle", "never opened"
        )
    (tmp_path / "c.npz").write_bytes(pickle.dumps(Bomb()))
    refused(tmp_path / "c.npz")
    records = npy(np.zeros(3, dtype=[("a", "O")]))
    refused(forge(tmp_path / "b.npz", contents | {"codes.npy": records}), "pickle")
    assert not (tmp_path / "exploded").exists()


@pytest.mark.parametrize(
    "text",
    [
        "{'descr': '<u2', 'fortran_order': True, 'shape': (1, 3), }",
        "{'descr': '>u2', 'fortran_order': False, 'shape': (1, 3), }",
        "{'descr': '<i2', 'fortran_order': False, 'shape': (1, 3), }",
        "{'descr': '<u2', 'fortran_order': False, 'shape': (3,), }",
        "{'descr': '<u2', 'fortran_order': False, 'shape': (3, 1), }",
        "{'descr': '<u2', 'fortran_order': False, 'shape': (-1, -3), }",
        "{'descr': '<u2', 'fortran_order': False, 'shape': (1, 3L), }",
        "{'descr': '<c8', 'fortran_order': False, 'shape': (), }",
        "{'descr': '<u2', 'fortran_order': False}",
        "(" * 3000,
        " " * 9000,
        "",
    ],
)
def test_unexpected_array_headers_are_refused(tmp_path, text):
    write_npz(tmp_path / "a.npz", tiny())
    contents = members(tmp_path / "a.npz") | {"codes.npy": npy_header(text, b"\0" * 6)}
    refused(forge(tmp_path / "b.npz", contents), "codes")


def test_codes_out_of_range_are_refused_with_the_path(tmp_path):
    write_npz(tmp_path / "a.npz", tiny())
    contents = members(tmp_path / "a.npz")
    refused(
        forge(tmp_path / "b.npz", contents | {"codes.npy": npy(np.array([[4, 0, 0]], "<u2"))}), "code 4 in codebook 0"
    )
    refused(forge(tmp_path / "b.npz", contents | {"num_samples.npy": npy(np.int64(-1))}), "samples")
    write_npz(tmp_path / "c.npz", rich())
    depth = {"depth.npy": npy(np.array([3, 0, 0, 0], "u1"))}
    refused(forge(tmp_path / "b.npz", members(tmp_path / "c.npz") | depth), "depth of 3")
    voiced = {
        "extras/frame_voiced.npy": npy_header("{'descr': '|b1', 'fortran_order': False, 'shape': (4,), }", b"\0\1\2\1")
    }
    refused(forge(tmp_path / "b.npz", members(tmp_path / "c.npz") | voiced), "0 and 1")


def test_members_must_be_those_listed(tmp_path):
    write_npz(tmp_path / "a.npz", rich())
    contents = members(tmp_path / "a.npz")
    for name in contents:
        less = {other: content for other, content in contents.items() if other != name}
        refused(forge(tmp_path / "b.npz", less, checksum=False))
    refused(forge(tmp_path / "b.npz", contents | {"more.npy": npy(np.zeros(1))}), "members")
    refused(forge(tmp_path / "b.npz", contents | {"inner.zip": (tmp_path / "a.npz").read_bytes()}), "members")
    refused(forge(tmp_path / "b.npz", {}, checksum=False))
    with zipfile.ZipFile(tmp_path / "b.npz", "w") as container:
        for name, content in contents.items():
            container.writestr(name, content)
        with pytest.warns(UserWarning, match="Duplicate"):
            container.writestr("codes.npy", contents["codes.npy"])
    refused(tmp_path / "b.npz", "twice")


@pytest.mark.parametrize(
    "changes",
    [
        {"format": "other"}, {"version": 0}, {"version": "1"}, {"tokenizer": "b"}, {"tokenizer": ...},
        {"fingerprint": 5}, {"fingerprint": "a\nb"}, {"spec": {}}, {"spec": []}, {"provenance": {"a": 1}},
        {"provenance": {"a": "\x1b[2J"}},
        {"extras": ["x"]}, {"extras": [1]}, {"extras": [[]]}, {"depth": True}, {"depth": 0}, {"tokaudio": ...},
        {"spec": TINY.to_dict() | {"hop_length": 0}}, {"spec": TINY.to_dict() | {"more": 1}},
        {"spec": TINY.to_dict() | {"codebooks": [{"size": 4}] * 2}}, {"spec": TINY.to_dict() | {"codebooks": 7}},
    ],
)  # fmt: skip
def test_bad_headers_are_refused(tmp_path, changes):
    write_npz(tmp_path / "a.npz", tiny())
    path = forge(tmp_path / "b.npz", edit_header(members(tmp_path / "a.npz"), **changes))
    refused(path)
    refused(path, read=read_header)


@pytest.mark.parametrize(
    "text", [b"", b"[]", b"{", b"[" * 100_000, b"\xff\xfe", b'{"format": 1e999}', b"9" * 5000, b"nul"]
)
def test_headers_that_are_no_json_object_are_refused(tmp_path, text):
    write_npz(tmp_path / "a.npz", tiny())
    contents = members(tmp_path / "a.npz") | {"header.npy": npy(np.frombuffer(text, np.uint8))}
    refused(forge(tmp_path / "b.npz", contents))


def test_later_versions_ask_for_an_upgrade(tmp_path):
    write_npz(tmp_path / "a.npz", tiny())
    path = forge(tmp_path / "b.npz", edit_header(members(tmp_path / "a.npz"), version=2, spec=...))
    refused(path, "version 2", "upgrade tokaudio")
    refused(path, "upgrade tokaudio", read=read_header)


def test_bombs_are_refused_before_they_unpack(tmp_path):
    write_npz(tmp_path / "a.npz", tiny())
    contents = members(tmp_path / "a.npz")
    zeros = npy_header("{'descr': '<u2', 'fortran_order': False, 'shape': (1, 10000000), }", bytes(20_000_000))
    path = forge(tmp_path / "b.npz", contents | {"codes.npy": zeros}, zipfile.ZIP_DEFLATED)
    with pytest.raises(TokensError, match="unpacks to"):
        read_npz(path, max_bytes=1_000_000)
    with pytest.raises(TokensError, match=r"it has [\d,]+ bytes; at most 100 are read"):
        read_npz(tmp_path / "a.npz", max_bytes=100)
    header = npy(np.zeros(5_000_000, np.uint8))
    refused(forge(tmp_path / "b.npz", contents | {"header.npy": header}, zipfile.ZIP_DEFLATED), "header", "too large")


def test_lying_sizes_and_large_directories_are_refused(tmp_path):
    write_npz(tmp_path / "a.npz", tiny())
    whole = bytearray((tmp_path / "a.npz").read_bytes())
    directory = int.from_bytes(whole[-6:-2], "little")
    lying = bytes(whole[: directory + 24]) + (10**9).to_bytes(4, "little") + bytes(whole[directory + 28 :])
    (tmp_path / "b.npz").write_bytes(lying)
    refused(tmp_path / "b.npz", "impossible sizes")
    with zipfile.ZipFile(tmp_path / "b.npz", "w") as container:
        for number in range(300):
            container.writestr(f"{number}", b"")
    refused(tmp_path / "b.npz", "directory is too large")
    locator = b"PK\x06\x07" + bytes(16)
    end = bytes(whole[-22:-10]) + (len(whole) - 22 - directory + 20).to_bytes(4, "little") + bytes(whole[-6:])
    (tmp_path / "b.npz").write_bytes(bytes(whole[:-22]) + locator + end)
    refused(tmp_path / "b.npz", "directory is too large")
    with zipfile.ZipFile(tmp_path / "b.npz", "w", zipfile.ZIP_LZMA) as container:
        container.writestr("header.npy", b"a" * 1000)
    refused(tmp_path / "b.npz", "compression")


def test_data_in_front_of_the_members_is_refused(tmp_path):
    write_npz(tmp_path / "a.npz", tiny())
    (tmp_path / "b.npz").write_bytes(b"something else")
    with zipfile.ZipFile(tmp_path / "b.npz", "a") as container:
        for name, content in members(tmp_path / "a.npz").items():
            container.writestr(name, content)
    refused(tmp_path / "b.npz", "before the first member")


def test_member_that_unpacks_to_less_than_it_says_is_refused(tmp_path):
    write_npz(tmp_path / "a.npz", tiny())
    contents = members(tmp_path / "a.npz")
    size = len(contents["codes.npy"])
    forge(tmp_path / "b.npz", contents | {"codes.npy": contents["codes.npy"][:-2]}, zipfile.ZIP_DEFLATED)
    whole = (tmp_path / "b.npz").read_bytes()
    field = whole.rindex(b"codes.npy") - 46 + 24
    assert int.from_bytes(whole[field : field + 4], "little") == size - 2
    (tmp_path / "b.npz").write_bytes(whole[:field] + size.to_bytes(4, "little") + whole[field + 4 :])
    refused(tmp_path / "b.npz", "codes.npy' is cut off")


def test_names_that_cannot_be_printed_are_escaped(tmp_path):
    path = os.fsdecode(os.fsencode(tmp_path) + b"/\xff\n.npz")
    write_npz(path, tiny())
    assert read_npz(path) == tiny()
    with pytest.raises(OutputError) as caught:
        write_npz(path, tiny())
    assert str(caught.value).isprintable() and "exists" in str(caught.value)


def test_writing_needs_one_item(tmp_path):
    for tokens, count in [(Tokens.batch([tiny(), tiny()]), "2"), (tiny()[0:0], "0")]:
        with pytest.raises(TokensError, match=rf"a.npz: .* have {count}; save tokens\[i\] one by one"):
            write_npz(tmp_path / "a.npz", tokens)
    assert not any(tmp_path.iterdir())


def test_padding_is_not_written(tmp_path):
    padded = Tokens(torch.tensor([[[3, 0, 2, 0, 0]]]), torch.tensor([3]), torch.tensor([1200]), TINY)
    write_npz(tmp_path / "a.npz", padded)
    assert read_npz(tmp_path / "a.npz") == tiny()


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.complex64])
def test_extras_that_numpy_cannot_hold_are_refused(tmp_path, dtype):
    tokens = Tokens(
        torch.tensor([[[1]]]), torch.tensor([1]), torch.tensor([400]), TINY, "", {"x": torch.ones(1, 2, dtype=dtype)}
    )
    with pytest.raises(TokensError, match="the extra x is"):
        write_npz(tmp_path / "a.npz", tokens)


def test_read_header_says_what_is_inside(tmp_path):
    write_npz(tmp_path / "a.npz", rich())
    header = read_header(tmp_path / "a.npz", verify=True)
    assert header == read_header(tmp_path / "a.npz")
    assert (header["num_codebooks"], header["num_frames"], header["num_samples"]) == (2, 4, 1000)
    assert header["extras"] == ["frame_voiced", "item_speaker"] and header["depth"] is True
    contents = members(tmp_path / "a.npz") | {"codes.npy": npy(np.zeros((2, 4), "<u4"))}
    forge(tmp_path / "b.npz", contents, checksum=False)
    read_header(tmp_path / "b.npz")
    with pytest.raises(TokensError, match="checksum"):
        read_header(tmp_path / "b.npz", verify=True)


def test_reading_a_header_does_not_import_torch(tmp_path):
    write_npz(tmp_path / "a.npz", tiny())
    code = "import sys; from tokaudio.storage.npz import read_header as read; read(sys.argv[1]); "
    code += "sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", code, tmp_path / "a.npz"], check=True)


def test_suffix_chooses_the_format(tmp_path):
    save_tokens(tmp_path / "A.NPZ", tiny())
    assert load_tokens(tmp_path / "A.NPZ") == tiny() == Tokens.load(tmp_path / "A.NPZ")
    tiny().save(tmp_path / "A.NPZ", overwrite=True)
    for path in ("a.wav", "a", "npz", "a.npz.gz"):
        with pytest.raises(TokensError, match=rf"{path}: .*\.npz"):
            load_tokens(tmp_path / path)
        with pytest.raises(TokensError, match=rf"{path}: .*\.npz"):
            save_tokens(tmp_path / path, tiny())
