"""Tiny random codecs in their published layouts, for the pages of published tokenizers.

Networks are as small as those of the tests beside, and rates are theirs; numbers of codebooks are the published ones.
"""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path

import torch
from safetensors.torch import save_file

from tests.docs.serving import serve, vouch_for
from tests.docs.stages import Stage, setting
from tests.tokenizers.families import branches
from tests.tokenizers.families import test_bigcodec as bigcodec
from tests.tokenizers.families import test_dac as dac
from tests.tokenizers.families import test_dualcodec as dualcodec
from tests.tokenizers.families import test_encodec as encodec
from tests.tokenizers.families import test_facodec as facodec
from tests.tokenizers.families import test_focalcodec as focalcodec
from tests.tokenizers.families import test_mimi as mimi
from tests.tokenizers.families import test_nanocodec as nanocodec
from tests.tokenizers.families import test_qwen3tts as qwen3tts
from tests.tokenizers.families import test_s3tokenizer as s3tokenizer
from tests.tokenizers.families import test_snac as snac
from tests.tokenizers.families import test_speechtokenizer as speechtokenizer
from tests.tokenizers.families import test_sqcodec as sqcodec
from tests.tokenizers.families import test_stablecodec as stablecodec
from tests.tokenizers.families import test_wavtokenizer as wavtokenizer
from tests.tokenizers.families import test_xcodec2 as xcodec2


@setting("docs/tokenizers/bigcodec.md", seconds=0.5)
def _bigcodec(stage: Stage) -> None:
    made = bigcodec.make()
    serve(stage, "bigcodec", bigcodec.publish(Path("made"), "official", made))
    bigcodec.publish(Path("folder"), "hub", made)


@setting("docs/tokenizers/dac.md", seconds=0.5)
def _dac(stage: Stage) -> None:
    small = dac.make(dataclasses.replace(dac.SHAPE, n_codebooks=12), 16_000)
    serve(stage, "dac-16k", dac.publish(Path("made"), "transformers", small))
    large = dac.make(dataclasses.replace(dac.SHAPE, n_codebooks=18), 44_100)
    dac.publish(Path("release"), "descript", large).rename("weights_44khz_16kbps.pth")


@setting("docs/tokenizers/dualcodec.md", seconds=0.5)
def _dualcodec(stage: Stage) -> None:
    shape = dataclasses.replace(dualcodec.SHAPE, dac=dataclasses.replace(dualcodec.DAC, n_codebooks=7))
    file = "dualcodec_12hz_16384_4096.safetensors"
    folder = dualcodec.publish(Path("made"), dualcodec.make(shape))
    (folder / "dualcodec_25hz_16384_1024.safetensors").rename(folder / file)
    serve(stage, "dualcodec-12hz", folder)
    for path in folder.iterdir():
        path.rename(path.name)


@setting("docs/tokenizers/encodec.md", seconds=0.5)
def _encodec(stage: Stage) -> None:
    made = _serve_encodec(stage, "encodec-24k", encodec.SMALL, 32)
    _serve_encodec(stage, "encodec-48k", encodec.STEREO, 16)
    (encodec.write(stage.folder, made, "release") / "release.th").rename("encodec_24khz-d7cc33bc.th")
    vouch_for(stage, "encodec_24khz-d7cc33bc.th")


@setting("README.md")
def _readme(stage: Stage) -> None:
    _serve_encodec(stage, "encodec-24k", encodec.SMALL, 32)


def _serve_encodec(stage: Stage, name: str, network: encodec.SEANet, num_codebooks: int) -> encodec.EnCodec:
    made, folder = encodec.make(network, num_codebooks), stage.folder / name
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(encodec.hub_config(network)))
    save_file(encodec.published(made, "hub"), folder / "model.safetensors")
    serve(stage, name, folder)
    return made


@setting("docs/tokenizers/facodec.md", seconds=0.5)
def _facodec(stage: Stage) -> None:
    serve(stage, "facodec", facodec.publish(Path("folder"), facodec.make()))
    shutil.copy("speech.wav", "another-voice.wav")


@setting("docs/tokenizers/focalcodec.md", seconds=0.5)
def _focalcodec(stage: Stage) -> None:
    serve(stage, "focalcodec-50hz", focalcodec.publish(Path("made"), focalcodec.make(strides=(1, 1)), "new"))
    focalcodec.publish(Path("focalcodec_25hz"), focalcodec.make(), "new")


@setting("docs/tokenizers/higgs.md", seconds=0.5)
def _higgs(stage: Stage) -> None:
    made = branches.make("higgs", num_codebooks=8)
    serve(stage, "higgs-v2", branches.publish(Path("made"), made, "transformers"))
    branches.publish(Path("first_release"), made, "original")


@setting("docs/tokenizers/mimi.md", seconds=0.5)
def _mimi(stage: Stage) -> None:
    made = mimi.make(quantizer=mimi.CONFIG["quantizer"] | {"num_codebooks": 32})
    serve(stage, "mimi", mimi.publish(Path("made"), "transformers", made, num_quantizers=32))


@setting("docs/tokenizers/nanocodec.md", seconds=0.5)
def _nanocodec(stage: Stage) -> None:
    sizes = {"audio_encoder.encoded_dim": 8, "audio_decoder.input_dim": 8, "vector_quantizer.num_groups": 4}
    archive = nanocodec.publish(stage.folder, nanocodec.make(groups=4), config=sizes)
    serve(stage, "nanocodec-0.6kbps", archive)


@setting("docs/tokenizers/neucodec.md", seconds=0.5)
def _neucodec(stage: Stage) -> None:
    serve(stage, "neucodec", xcodec2.publish(Path("folder"), "original", xcodec2.make("neucodec")))


@setting("docs/tokenizers/qwen3tts.md", seconds=0.5)
def _qwen3tts(stage: Stage) -> None:
    made = qwen3tts.make(quantizer=qwen3tts.QUANTIZER | {"num_codebooks": 16})
    numbers = {"encoder__num_quantizers": 17, "decoder__num_quantizers": 16, "encoder_valid_num_quantizers": 16}
    serve(stage, "qwen3-tts-12hz", qwen3tts.publish(Path("made"), made, **numbers))


@setting("docs/tokenizers/s3tokenizer.md", seconds=0.5)
def _s3tokenizer(stage: Stage) -> None:
    made = s3tokenizer.make("v2")
    s3tokenizer.saved(made, "v2", Path("speech_tokenizer_v2.onnx"))
    torch.save(s3tokenizer.published(made), "speech_tokenizer_v2.pt")
    vouch_for(stage, "speech_tokenizer_v2.onnx")


@setting("docs/tokenizers/snac.md", seconds=0.5)
def _snac(stage: Stage) -> None:
    serve(stage, "snac-24k", snac.publish(Path("made"), snac.make_snac()))


@setting("docs/tokenizers/speechtokenizer.md", seconds=0.5)
def _speechtokenizer(stage: Stage) -> None:
    made = speechtokenizer.make(n_q=8)
    serve(stage, "speechtokenizer", speechtokenizer.publish(Path("speechtokenizer_hubert_avg"), made))


@setting("docs/tokenizers/sqcodec.md", seconds=0.5)
def _sqcodec(_: Stage) -> None:
    sqcodec.publish(Path("SQ-Codec"), sqcodec.make())


@setting("docs/tokenizers/stablecodec.md", seconds=0.5)
def _stablecodec(stage: Stage) -> None:
    grid = stablecodec.GRIDS["2x15625_700bps"]
    made = stablecodec.make(stablecodec.PLAIN, grid, rate=16_000, patch=20)
    serve(stage, "stable-codec", stablecodec.publish(Path("made"), made, layout="ckpt"))
    stablecodec.publish(Path("folder"), made)


@setting("docs/tokenizers/wavtokenizer.md", seconds=0.5)
def _wavtokenizer(stage: Stage) -> None:
    folder = wavtokenizer.publish(Path("made"), wavtokenizer.make())
    yaml, weights = "training_a.yaml", "a.ckpt"
    shared = "wavtokenizer_smalldata_frame75_3s_nq1_code4096_dim512_kmeans200_attn.yaml"
    shutil.copy(folder / yaml, shared)
    shutil.copy(folder / weights, "WavTokenizer_small_320_24k_4096.ckpt")
    serve(stage, "wavtokenizer-75", folder, {shared: yaml, "wavtokenizer_large_speech_320_v2.ckpt": weights})


@setting("docs/tokenizers/xcodec.md", seconds=0.5)
def _xcodec(stage: Stage) -> None:
    made = branches.make("xcodec", num_codebooks=8)
    serve(stage, "xcodec", branches.publish(Path("made"), made, "transformers"))
    branches.publish(Path("first_release"), made, "original")


@setting("docs/tokenizers/xcodec2.md", seconds=0.5)
def _xcodec2(stage: Stage) -> None:
    made = xcodec2.make()
    serve(stage, "xcodec2", xcodec2.publish(Path("made"), "transformers", made))
    serve(stage, "xcodec2-original", xcodec2.publish(Path("theirs"), "original", made))
