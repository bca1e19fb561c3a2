"""The conformance kit catches what is broken: one deliberately broken tokenizer or quantizer per law."""

import copy
from pathlib import Path

import pytest
import torch
from torch import Tensor

from tokaudio.audio.chunk import TileStream
from tokaudio.errors import CheckpointError, TokaudioError
from tokaudio.nn.spectral_codec import SpectralCodecShape
from tokaudio.quantizers import FiniteScalarQuantizer, ResidualVectorQuantizer, VectorQuantizer
from tokaudio.spec import CodebookSpec, TokenizerSpec
from tokaudio.testing import ConformanceError, ConformanceReport, LawResult, check_quantizer, check_tokenizer
from tokaudio.testing._case import sound
from tokaudio.testing.report import Broken, refused, require_same, run_laws
from tokaudio.testing.tokenizers import LAWS
from tokaudio.tokenizers import SpectralCodec, Streaming, pretrained
from tokaudio.tokenizers.registry import FAMILIES
from tokaudio.tokens import Tokens

SHAPE = SpectralCodecShape(
    hop_length=80, n_fft=160, latent_dim=8, encoder_dim=8, encoder_blocks=1, decoder_dim=8, decoder_blocks=1
)
SPEC = TokenizerSpec("tiny", "compression", 4_000, 80, (CodebookSpec(16),) * 3, chunking="exact")


def tiny(family: type[SpectralCodec] = SpectralCodec) -> SpectralCodec:
    torch.manual_seed(0)
    codec = family(SPEC, SHAPE, "rvq", {"codebook_size": 16, "num_codebooks": 3})
    # A bias that loudness is seen against, since what follows is normalised.
    torch.nn.init.normal_(codec.encoder.stack.entry.bias)
    # Codebooks that fit the sounds, so that a small change of the input changes codes.
    sounds = torch.cat([sound(12_000, 4_000, seed=seed) for seed in range(4)])
    codec.quantizer.initialise(codec.features(sounds[:, None]).transpose(1, 2).flatten(0, 1))
    return codec.eval().requires_grad_(False)


def broken_laws(codec: SpectralCodec, *only: str) -> dict[str, str]:
    report = check_tokenizer(codec, only=only or None, longest=5, raises=False)
    return {law.name: law.problem for law in report.broken}


def test_a_sound_tokenizer_passes_and_is_left_as_it_was():
    codec = tiny().train()
    before = copy.deepcopy(codec.state_dict())
    report = check_tokenizer(codec, longest=5, seed=3)
    assert not report.broken
    assert [law.name for law in report.laws] == list(LAWS)
    assert all(law.cases for law in report.laws)
    assert codec.training
    assert all(torch.equal(value, before[name]) for name, value in codec.state_dict().items())


class DropsTheLastFrame(SpectralCodec):
    def _encode(self, samples: Tensor, num_codebooks: int) -> Tensor:
        codes = super()._encode(samples, num_codebooks)
        return codes[:, : samples.shape[1] // self.spec.hop_length]


class DecodesTooMuch(SpectralCodec):
    def _decode(self, codes: Tensor, num_samples: int) -> Tensor:
        return super()._decode(codes, codes.shape[1] * self.spec.hop_length)


class DependsOnCompany(SpectralCodec):
    company = 1

    def encode(self, audio, sample_rate=None, *, num_codebooks=None, num_samples=None) -> Tokens:
        self.company = len(audio) if isinstance(audio, list) else 1
        return super().encode(audio, sample_rate, num_codebooks=num_codebooks, num_samples=num_samples)

    def _encode(self, samples: Tensor, num_codebooks: int) -> Tensor:
        return super()._encode(samples * self.company, num_codebooks)


class LooksBeyondTheEnd(SpectralCodec):
    def encode(self, audio, sample_rate=None, *, num_codebooks=None, num_samples=None) -> Tokens:
        tokens = super().encode(audio, sample_rate, num_codebooks=num_codebooks, num_samples=num_samples)
        if num_samples is None:
            return tokens
        whole = super().encode(audio, sample_rate, num_codebooks=num_codebooks)
        return Tokens(whole.codes, tokens.lengths, tokens.num_samples, tokens.spec, tokens.fingerprint)


class NormalisesByTheWhole(SpectralCodec):
    def _encode(self, samples: Tensor, num_codebooks: int) -> Tensor:
        return super()._encode(samples / samples.abs().max().clamp_min(1e-3), num_codebooks)


class ForgetsBetweenPieces(SpectralCodec):
    def _streaming(self, num_codebooks: int) -> Streaming:
        streaming = super()._streaming(num_codebooks)
        run, self.calls = streaming.decoder.run, 0

        def forgetful(window: Tensor) -> Tensor:
            self.calls += 1
            return run(window) * (0.5 if self.calls % 2 == 0 else 1.0)

        streaming.decoder.run = forgetful
        return streaming

    def _decode(self, codes: Tensor, num_samples: int) -> Tensor:
        sound = super()._decode(codes, num_samples)
        return sound.abs()


class SharesItsStreams(SpectralCodec):
    shared: TileStream | None = None

    def streaming(self, *, num_codebooks: int | None = None) -> Streaming:
        fresh = super().streaming(num_codebooks=num_codebooks)
        if self.shared is None or self.shared._ended:
            self.shared = fresh.encoder
        return Streaming(self.shared, fresh.decoder)


class EncodesMoreWithFewer(SpectralCodec):
    def _encode(self, samples: Tensor, num_codebooks: int) -> Tensor:
        codes = super()._encode(samples, self.spec.num_codebooks)
        return codes.roll(num_codebooks, 0)[:num_codebooks]


class LearnsFromUse(SpectralCodec):
    def _encode(self, samples: Tensor, num_codebooks: int) -> Tensor:
        codes = super()._encode(samples, num_codebooks)
        if self.training:
            self.decoder.out.bias.data += 1e-3
        return codes


class CountsItsCalls(SpectralCodec):
    calls = 0

    def _encode(self, samples: Tensor, num_codebooks: int) -> Tensor:
        self.calls += 1
        return (super()._encode(samples, num_codebooks) + self.calls) % 16


class UsesEveryThread(SpectralCodec):
    def encode(self, audio, sample_rate=None, *, num_codebooks=None, num_samples=None) -> Tokens:
        loudness = torch.get_num_threads()
        clip = audio * loudness if isinstance(audio, Tensor) else audio
        return super().encode(clip, sample_rate, num_codebooks=num_codebooks, num_samples=num_samples)


class TrustsAnyWeights(SpectralCodec):
    def _require_float32(self) -> None:
        pass

    def _encode(self, samples: Tensor, num_codebooks: int) -> Tensor:
        other = self.encoder.out.weight.dtype != torch.float32
        return super().float()._encode(samples, num_codebooks).flip(1 if other else ())


class TrustsAnyTokens(SpectralCodec):
    def _checked(self, tokens: Tokens) -> Tokens:
        return tokens


class EmbedsTheWrongWay(SpectralCodec):
    def _embed(self, codes: Tensor) -> Tensor:
        return super()._embed(codes) * 1.01


class RoundsItsSamples(SpectralCodec):
    def encode_blocks(self, blocks, sample_rate, *, num_codebooks=None) -> Tokens:
        cleaned = (torch.as_tensor(block).nan_to_num().clamp(-1, 1) * 0.9 for block in blocks)
        return super().encode_blocks(cleaned, sample_rate, num_codebooks=num_codebooks)


BROKEN = {
    DropsTheLastFrame: {"lengths"},
    DecodesTooMuch: {"lengths"},
    DependsOnCompany: {"batch composition"},
    LooksBeyondTheEnd: {"right padding"},
    NormalisesByTheWhole: {"streaming encode", "encode_blocks"},
    ForgetsBetweenPieces: {"streaming decode", "decode_blocks"},
    SharesItsStreams: {"interleaved streams"},
    EncodesMoreWithFewer: {"prefix"},
    LearnsFromUse: {"modes"},
    CountsItsCalls: {"rerun"},
    UsesEveryThread: {"threads"},
    TrustsAnyWeights: {"precisions"},
    TrustsAnyTokens: {"foreign tokens"},
    EmbedsTheWrongWay: {"vectors"},
    RoundsItsSamples: {"audio files", "bad input"},
}


@pytest.mark.parametrize("family", BROKEN, ids=lambda family: family.__name__)
def test_the_law_that_is_broken_is_named(family: type[SpectralCodec]):
    assert broken_laws(tiny(family), *BROKEN[family]).keys() == BROKEN[family]


def test_codes_that_differ_in_another_process_are_caught(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "by_process.py").write_text(
        "import os\n"
        "from tokaudio.tokenizers import SpectralCodec\n"
        "from tokaudio.tokenizers.registry import FAMILIES\n"
        "home = os.environ.setdefault('HOME_OF_THE_TEST', str(os.getpid()))\n"
        "class ByProcess(SpectralCodec):\n"
        "    FAMILY = 'by-process'\n"
        "    def _encode(self, samples, num_codebooks):\n"
        "        away = int(home != str(os.getpid()))\n"
        "        return (super()._encode(samples, num_codebooks) + away) % 16\n"
        "FAMILIES['by-process'] = ByProcess\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("HOME_OF_THE_TEST", "")
    monkeypatch.delenv("HOME_OF_THE_TEST")
    monkeypatch.setattr("tokaudio.tokenizers.registry.FAMILIES", FAMILIES)
    import by_process

    codec = tiny(by_process.ByProcess)
    try:
        report = check_tokenizer(codec, only=["fresh process"], imports=["by_process"], raises=False)
        assert "differ in a new process" in report.laws[0].problem
        report = check_tokenizer(codec, only=["fresh process"], raises=False)
        assert "no family is called 'by-process'" in report.laws[0].problem
    finally:
        del FAMILIES["by-process"]


def test_a_loader_that_accepts_a_nan_is_caught(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(pretrained, "check_tensors", lambda *arguments: None)
    assert "was not refused" in broken_laws(tiny(), "damaged weights")["damaged weights"]

    def vague(*arguments: object) -> None:
        raise CheckpointError("something is wrong")

    monkeypatch.setattr(pretrained, "check_tensors", vague)
    assert "does not name" in broken_laws(tiny(), "damaged weights")["damaged weights"]


def test_a_token_file_that_loses_something_is_caught(monkeypatch: pytest.MonkeyPatch):
    intact = Tokens.load
    monkeypatch.setattr(Tokens, "load", lambda path: intact(path).frames(1))
    assert "token files" in broken_laws(tiny(), "token files")


def test_sounds_that_decode_to_nothing_finite_are_caught():
    codec = tiny()
    codec.decoder.out.bias.fill_(torch.inf)
    assert "an Inf" not in broken_laws(codec, "hard sounds")["hard sounds"]


def test_pieces_do_not_apply_where_the_spec_promises_none():
    codec = tiny()
    codec.spec = TokenizerSpec("tiny", "compression", 4_000, 80, (CodebookSpec(16),) * 3, chunking="none")
    report = check_tokenizer(codec, only=["streaming encode", "interleaved streams", "rerun"])
    assert [law.cases > 0 for law in report.laws] == [False, False, True]


# --- quantizers ---


class TakesTheLaterOfTwo(VectorQuantizer):
    def encode(self, latents: Tensor, *, num_codebooks: int | None = None) -> Tensor:
        self.resolve(num_codebooks)
        rows, table = latents.detach().float().transpose(1, 2), self.book.table.float().flip(0)
        distances = torch.cdist(rows, table[None], compute_mode="donot_use_mm_for_euclid_dist")
        return (self.codebook_sizes[0] - 1 - distances.argmin(-1))[:, None]


class LearnsInEval(VectorQuantizer):
    def forward(self, latents, *, num_codebooks=None, weights=None, anchor=None):
        mode = self.training
        out = super().train().forward(latents, num_codebooks=num_codebooks)
        self.train(mode)
        return out


class ForgetsToCheck(VectorQuantizer):
    def decode(self, codes: Tensor) -> Tensor:
        return self.lookup(codes[:, 0].clamp(0, self.codebook_sizes[0] - 1))


class CutsTheGradient(VectorQuantizer):
    def forward(self, latents, *, num_codebooks=None, weights=None, anchor=None):
        self.require_depth(num_codebooks)
        return super().forward(latents.detach() + 0 * latents.sum())


class LooksAhead(ResidualVectorQuantizer):
    def encode(self, latents: Tensor, *, num_codebooks: int | None = None) -> Tensor:
        k = self.resolve(num_codebooks)
        return super().encode(latents * k, num_codebooks=k)


class PoisonedByOne(VectorQuantizer):
    def forward(self, latents, *, num_codebooks=None, weights=None, anchor=None):
        out = super().forward(latents, num_codebooks=num_codebooks)
        if self.training:
            self.book.table.lerp_(latents.detach().mean((0, 2))[None], 0.01)
        return out


class RunsInWhateverPrecision(VectorQuantizer):
    def search(self, latents: Tensor) -> Tensor:
        rows = latents.detach().transpose(1, 2)
        return (self.book.table.square().sum(-1) - 2 * rows @ self.book.table.T).argmin(-1)


class AnyIndex(VectorQuantizer):
    def codebook(self, index: int) -> Tensor:
        return super().codebook(0)


class Int32(VectorQuantizer):
    def search(self, latents: Tensor) -> Tensor:
        return super().search(latents).int()


class RoundsUnderAutocast(VectorQuantizer):
    def forward(self, latents, *, num_codebooks=None, weights=None, anchor=None):
        half = torch.is_autocast_enabled("cpu")
        return super().forward(latents.mul(8).round() / 8 if half else latents, num_codebooks=num_codebooks)


class ForgetsItsCounts(VectorQuantizer):
    def learning_state(self) -> dict:
        state = super().learning_state()
        state["book"]["counts"] = torch.ones(self.codebook_sizes)
        return state


QUANTIZERS = {
    RoundsUnderAutocast: "half precision",
    ForgetsItsCounts: "resuming",
    TakesTheLaterOfTwo: "ties",
    LearnsInEval: "eval does not learn",
    ForgetsToCheck: "out of range",
    CutsTheGradient: "gradient",
    PoisonedByOne: "non-finite training",
    RunsInWhateverPrecision: "autocast",
    AnyIndex: "codebooks",
    Int32: "shapes",
}


@pytest.mark.parametrize("family", QUANTIZERS, ids=lambda family: family.__name__)
def test_the_law_that_a_quantizer_breaks_is_named(family: type[VectorQuantizer]):
    report = check_quantizer(family(6, 64), raises=False)
    assert QUANTIZERS[family] in {law.name for law in report.broken}


def test_a_prefix_that_is_none_is_caught_unless_none_is_promised():
    quantizer = LooksAhead(6, 64, num_codebooks=3)
    assert "prefix" in {law.name for law in check_quantizer(quantizer, raises=False).broken}
    laws = {law.name: law for law in check_quantizer(quantizer, residual=False, raises=False).laws}
    assert not laws["prefix"].problem


def test_forward_that_disagrees_with_encode_is_caught():
    class Shifted(FiniteScalarQuantizer):
        def encode(self, latents: Tensor, *, num_codebooks: int | None = None) -> Tensor:
            return (super().encode(latents, num_codebooks=num_codebooks) + 1) % self.codebook_sizes[0]

    broken = check_quantizer(Shifted(3, (4, 4, 4)), raises=False).broken
    assert [law.name for law in broken] == ["forward agrees with encode", "half precision"]


def test_two_codes_for_one_vector_are_caught_where_indices_are_computed():
    class Folded(FiniteScalarQuantizer):
        def decode(self, codes: Tensor) -> Tensor:
            return super().decode(codes).abs()

    report = check_quantizer(Folded(3, (5, 5, 5)), raises=False)
    found = {law.name: law for law in report.laws}["bijection"]
    assert found.problem == "125 codes stand for 27 different vectors"
    assert {law.name: law.cases for law in check_quantizer(FiniteScalarQuantizer(3, (5, 5, 5))).laws}[
        "bijection"
    ] == 125


def test_idempotence_is_asked_only_where_it_is_promised():
    chain = ResidualVectorQuantizer(6, 8, num_codebooks=3)
    assert not check_quantizer(chain, raises=False).broken
    broken = check_quantizer(chain, idempotent=True, raises=False).broken
    assert [law.name for law in broken] == ["idempotence"]
    laws = check_quantizer(VectorQuantizer(6, 64), idempotent=True).laws
    assert {law.name: law.cases for law in laws}["idempotence"] == 3


def test_checking_leaves_a_quantizer_as_it_was():
    quantizer = VectorQuantizer(4, 8).train()
    before = copy.deepcopy([*quantizer.buffers()])
    check_quantizer(quantizer)
    assert quantizer.training
    assert all(torch.equal(a, b) for a, b in zip(before, quantizer.buffers(), strict=True))


# --- reports ---


def test_a_broken_law_raises_an_assertion_that_says_which_and_why():
    with pytest.raises(ConformanceError, match="1 of 1 laws broken") as caught:
        check_quantizer(TakesTheLaterOfTwo(6, 64))
    assert isinstance(caught.value, AssertionError) and isinstance(caught.value, TokaudioError)
    assert "the later of two equal rows" in str(caught.value)
    assert caught.value.report.cases > 0


def test_an_unexpected_exception_is_a_broken_law_and_stops_no_other():
    def careless() -> int:
        raise KeyError("two\nlines")

    report = run_laws("toy", {"careless": careless, "careful": lambda: 2}, raises=False)
    assert report.laws == (LawResult("careless", 0, "raised KeyError: 'two\\nlines'"), LawResult("careful", 2))
    assert str(report).splitlines()[0] == "toy: 1 of 2 laws broken, 2 cases"


def test_comparisons_see_shape_type_and_value():
    codes = torch.tensor([[1, 2, 3]])
    for other in (codes[:, :2], codes.int(), torch.tensor([[1, 2, 4]])):
        with pytest.raises(Broken):
            require_same(other, codes, "codes")
    with pytest.raises(Broken, match="1 of 3 values differ, the first at \\[0, 2\\]"):
        require_same(torch.tensor([[1, 2, 4]]), codes, "codes")


def test_a_refusal_must_be_of_the_right_kind_on_one_line_and_name_the_culprit():
    with pytest.raises(Broken, match="was not refused"), refused(ValueError, "it"):
        pass
    with pytest.raises(Broken, match="several lines"), refused(ValueError, "it"):
        raise ValueError("a\nb")
    with pytest.raises(Broken, match="does not name"), refused(ValueError, "it", naming="x"):
        raise ValueError("a")
    with pytest.raises(KeyError), refused(ValueError, "it"):
        raise KeyError


def test_a_report_of_success_reads_well():
    report = ConformanceReport("toy", (LawResult("rerun", 3),))
    assert str(report) == "toy: all 1 laws hold, 3 cases\n  ok      rerun (3)"
