"""Mixtures with what they were made of: VoiceBank-DEMAND, Libri2Mix, MUSDB18-HQ and FUSS.

The recording is the mixture. Facts name the sound that is to be found in it, by whole paths: `clean`, or `source_1`,
`source_2` and so on, or the stems of a song.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import PurePosixPath

from tokaudio.audio.manifest import Recording
from tokaudio.errors import one_line
from tokaudio.probes.datasets.tree import Tree
from tokaudio.probes.errors import ProbeError

STEMS = ("vocals", "drums", "bass", "other")
VALIDATION_SONGS = frozenset(
    {
        "ANiMAL - Rockshow",
        "Actions - One Minute Smile",
        "Alexander Ross - Goodbye Bolero",
        "Clara Berry And Wooldog - Waltz For My Victims",
        "Fergessen - Nos Palpitants",
        "James May - On The Line",
        "Johnny Lokke - Promises & Lies",
        "Leaf - Summerghost",
        "Meaxic - Take A Step",
        "Patrick Talbot - A Reason To Leave",
        "Skelpolu - Human Mistakes",
        "Traffic Experiment - Sirens",
        "Triviul - Angelsaint",
        "Young Griffo - Pennies",
    }
)
"""Songs of MUSDB18's training set to validate on, as its own package musdb names them (configs/mus.yaml)."""


def voicebank_demand(root: str | os.PathLike[str]) -> list[Recording]:
    """Read VoiceBank-DEMAND: `noisy_testset_wav/`, `clean_testset_wav/`, `..._trainset_28spk_wav/` (10.7488/ds/2117).

    Args:
        root: the folder with the unpacked archives; texts (`testset_txt/`, `trainset_28spk_txt/`) are used if there.
            The set of 56 speakers takes the place of that of 28 where only it is there.

    Returns:
        Noisy recordings with fold (train or test: there is no official set to validate on), speaker, clean and text.

    Raises:
        ProbeError: a folder or a clean recording is missing.
    """
    tree = Tree(root, "VoiceBank-DEMAND")
    train = tree.require("noisy_trainset_28spk_wav", "noisy_trainset_56spk_wav").split("_")[2]
    found: list[Recording] = []
    for side, middle in (("train", f"trainset_{train}"), ("test", "testset")):
        noisy, clean = (tree.require(f"{kind}_{middle}_wav") for kind in ("noisy", "clean"))
        names = tree.files(noisy, ".wav")
        tree.checked(tree.recording(f"{clean}/{name}", {}) for name in names)
        for name in names:
            text = f"{middle}_txt/{name.removesuffix('.wav')}.txt"
            facts = {
                "fold": side,
                "speaker": name.partition("_")[0],
                "clean": tree.place(f"{clean}/{name}"),
                "text": tree.text(text).strip() if tree.has(*PurePosixPath(text).parts) else None,
                "language": "en",
            }
            found.append(tree.recording(f"{noisy}/{name}", facts))
    return tree.checked(found)


def libri2mix(root: str | os.PathLike[str]) -> list[Recording]:
    """Read Libri2Mix: `wav16k/min/{train-100,train-360,dev,test}/{mix_clean,s1,s2}/` (arXiv 2005.11262).

    Args:
        root: the folder `Libri2Mix`, or the one it is in; wav8k and max where there is no wav16k or min, and mixtures
            with noise (`mix_both`) where there are none without.

    Returns:
        Mixtures with split, subset, source_1, source_2, speaker_1, speaker_2, and noisy (yes or no). The speaker is
        both of them, so that splits keep pairs together.

    Raises:
        ProbeError: a folder or a source is missing.
    """
    tree = Tree(root, "Libri2Mix", inner=("Libri2Mix",))
    rate = tree.require("wav16k", "wav8k")
    mode = tree.require(f"{rate}/min", f"{rate}/max")
    sides = {"train-100": "train", "train-360": "train", "dev": "valid", "test": "test"}
    subsets = [name for name in tree.folders(mode) if name in sides]
    if not subsets:
        raise ProbeError(one_line(tree.root / mode, "has no subset train-100, dev or test", "make Libri2Mix again"))
    return tree.checked(one for subset in subsets for one in _libri2mix(tree, f"{mode}/{subset}", sides[subset]))


def _libri2mix(tree: Tree, folder: str, side: str) -> Iterator[Recording]:
    mixed = tree.require(f"{folder}/mix_clean", f"{folder}/mix_both")
    first, second = tree.require(f"{folder}/s1"), tree.require(f"{folder}/s2")
    names = tree.files(mixed, ".wav")
    for source in (first, second):
        tree.checked(tree.recording(f"{source}/{name}", {}) for name in names)
    for name in names:
        one, other = (part.partition("-")[0] for part in name.removesuffix(".wav").split("_"))
        facts = {
            "split": side,
            "subset": PurePosixPath(folder).name,
            "source_1": tree.place(f"{first}/{name}"),
            "source_2": tree.place(f"{second}/{name}"),
            "speaker_1": one,
            "speaker_2": other,
            "speaker": f"{one}+{other}",
            "noisy": "yes" if mixed.endswith("mix_both") else "no",
        }
        yield tree.recording(f"{mixed}/{name}", facts)


def musdb18(root: str | os.PathLike[str]) -> list[Recording]:
    """Read MUSDB18-HQ: `{train,test}/SONG/{mixture,vocals,drums,bass,other}.wav` (sigsep.github.io/datasets).

    Args:
        root: the folder of the uncompressed release.

    Returns:
        Mixtures with split (14 songs of the training set are to validate on), song, artist, and the four stems.

    Raises:
        ProbeError: a folder or stem is missing, or it is the compressed release, whose stems are in one MP4 file.
    """
    tree = Tree(root, "MUSDB18", inner=("musdb18hq", "MUSDB18-HQ"))
    found = []
    for side in (tree.require("train"), tree.require("test")):
        if tree.files(side, ".stem.mp4"):
            problem = "MUSDB18 is the compressed release (.stem.mp4)"
            raise ProbeError(one_line(tree.root, problem, "give MUSDB18-HQ, or decode it with musdbconvert"))
        for song in tree.folders(side):
            stems = {stem: tree.place(tree.require(f"{side}/{song}/{stem}.wav")) for stem in STEMS}
            part = "valid" if side == "train" and song in VALIDATION_SONGS else side
            facts = {"split": part, "song": song, "artist": song.partition(" - ")[0]}
            found.append(tree.recording(f"{side}/{song}/mixture.wav", facts | stems))
    return tree.checked(found)


def fuss(root: str | os.PathLike[str]) -> list[Recording]:
    """Read FUSS: `{train,validation,eval}_example_list.txt`, whose rows name a mixture and its sources.

    Wisdom et al., arXiv 2011.00803; github.com/google-research/sound-separation, datasets/fuss.

    Args:
        root: the folder `ssdata_reverb` or `ssdata`, or the one it is in; the one with reverberation first.

    Returns:
        Mixtures with split, sources (how many) and source_1 to source_4.

    Raises:
        ProbeError: a list is missing, or a mixture or source that it names.
    """
    tree = Tree(root, "FUSS", inner=("ssdata_reverb", "ssdata"))
    sides = {"train": "train", "validation": "valid", "eval": "test"}
    found, parts = [], []
    for name, side in sides.items():
        for line in tree.lines(tree.require(f"{name}_example_list.txt")):
            mixture, *sources = line.strip().split("\t")
            facts = {"split": side, "sources": str(len(sources))}
            facts |= {f"source_{number}": tree.place(one) for number, one in enumerate(sources, start=1)}
            found.append(tree.recording(mixture, facts))
            parts += [tree.recording(one, {}) for one in sources]
    tree.checked(parts)
    return tree.checked(found)
