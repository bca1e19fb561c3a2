"""Damage that happens to token files: flipped bits, truncation, and paths that are no files."""

import os
import random
import zipfile

import pytest
import torch

from tokaudio.errors import TokensError
from tokaudio.spec import CodebookSpec, TokenizerSpec
from tokaudio.storage.npz import read_header, read_npz, write_npz
from tokaudio.tokens import Tokens


def tiny() -> Tokens:
    spec = TokenizerSpec("a", "semantic", 8000, 400, (CodebookSpec(4),))
    return Tokens.from_codes(torch.tensor([[3, 0, 2]]), spec)


def rich() -> Tokens:
    spec = TokenizerSpec("rich", "hybrid", 16_000, 320, (CodebookSpec(9, role="semantic"), CodebookSpec(70_000)))
    return Tokens(
        torch.tensor([[[8, 0, 2, 1], [69_999, 0, 5, 0]]]),
        torch.tensor([4]),
        torch.tensor([1000]),
        spec,
        "0123abcd",
        {"item_speaker": torch.tensor([[0.5, -2.0]]), "frame_voiced": torch.tensor([[True, False, True, True]])},
        torch.tensor([[2, 0, 2, 1]]),
        {"resampler": "soxr HQ 1.0"},
    )


def refused(path, word, read):
    with pytest.raises(TokensError) as caught:
        read(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: ") and word in message and "; " in message and message.isprintable()


def flips_that_load_differently(path, tokens, positions):
    wrong, header = [], read_header(path)
    descriptor = os.open(path, os.O_RDWR)
    for position, bit in positions:
        byte = os.pread(descriptor, 1, position)
        os.pwrite(descriptor, bytes([byte[0] ^ 1 << bit]), position)
        try:
            if read_header(path) != header:
                wrong.append((position, bit))
        except TokensError:
            pass
        try:
            loaded = read_npz(path)
            if loaded != tokens or loaded.provenance != tokens.provenance:
                wrong.append((position, bit))
        except TokensError as error:
            assert str(error).isprintable()
        os.pwrite(descriptor, byte, position)
    os.close(descriptor)
    return wrong


def test_no_flipped_bit_loads_other_tokens(tmp_path):
    write_npz(tmp_path / "a.npz", tiny())
    size = (tmp_path / "a.npz").stat().st_size
    assert not flips_that_load_differently(tmp_path / "a.npz", tiny(), [(p, b) for p in range(size) for b in range(8)])


@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_no_flipped_byte_loads_other_tokens_with_depth_and_extras(tmp_path, compression):
    write_npz(tmp_path / "a.npz", rich())
    with zipfile.ZipFile(tmp_path / "a.npz") as stored, zipfile.ZipFile(tmp_path / "b.npz", "w", compression) as other:
        for name in stored.namelist():
            other.writestr(name, stored.read(name))
    bits = random.Random(0)
    positions = [(p, bits.randrange(8)) for p in range((tmp_path / "b.npz").stat().st_size)]
    assert not flips_that_load_differently(tmp_path / "b.npz", rich(), positions)


def test_every_truncation_and_any_addition_is_refused(tmp_path):
    write_npz(tmp_path / "a.npz", tiny())
    whole = (tmp_path / "a.npz").read_bytes()
    path = tmp_path / "b.npz"
    path.write_bytes(whole)
    for size in reversed(range(len(whole))):
        os.truncate(path, size)
        with pytest.raises(TokensError):
            read_npz(path)
    for changed in (whole + b"\0", whole + whole, b"\0" + whole, whole[:-2] + b"\1\0x"):
        path.write_bytes(changed)
        refused(path, "damaged", read_npz)


def test_paths_that_are_no_regular_files_are_refused_at_once(tmp_path):
    os.mkfifo(tmp_path / "fifo.npz")
    (tmp_path / "folder.npz").mkdir()
    (tmp_path / "dangling.npz").symlink_to("nowhere")
    (tmp_path / "empty.npz").touch()
    (tmp_path / "text.npz").write_text("these are no tokens")
    for name, words in {
        "fifo": "not a regular file", "folder": "a folder", "dangling": "link to nothing", "empty": "empty",
        "text": "short",        "missing": "no such file",
    }.items():  # fmt: skip
        for read in (read_npz, read_header):
            refused(tmp_path / f"{name}.npz", words, read)
    with pytest.raises(TokensError, match="not a regular file"):
        read_npz("/dev/zero")
    with pytest.raises(TokensError, match="null"):
        read_npz("a\0b.npz")
