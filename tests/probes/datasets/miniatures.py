"""Corpora in their official layouts, a few empty files each: readers look for files and do not open sound."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Mapping
from pathlib import Path

from tokaudio.probes.datasets.mixtures import STEMS


def write(root: Path, files: Mapping[str, str]) -> Path:
    """Write text files by their paths, and return the folder."""
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return root


def librispeech(root: Path) -> Path:
    files = {}
    for subset, speaker in (("train-clean-100", "103"), ("dev-other", "116"), ("test-clean", "61")):
        names = [f"{speaker}-70968-000{number}" for number in range(2)]
        folder = f"LibriSpeech/{subset}/{speaker}/70968"
        files |= {f"{folder}/{name}.flac": "" for name in names}
        files[f"{folder}/{speaker}-70968.trans.txt"] = "".join(f"{name} HE BEGAN A {name[0]}\n" for name in names)
    return write(root, files | {"LibriSpeech/SPEAKERS.TXT": "; ID  |SEX\n", "LibriSpeech/README.TXT": ""})


def libritts(root: Path) -> Path:
    files = {}
    for subset, speaker in (("train-clean-100", "103"), ("dev-clean", "84"), ("test-other", "1688")):
        name = f"LibriTTS/{subset}/{speaker}/1240/{speaker}_1240_000000_000001"
        files |= {
            f"{name}.wav": "",
            f"{name}.original.txt": 'He said: "1".',
            f"{name}.normalized.txt": "He said: one.\n",
        }
        files[f"LibriTTS/{subset}/{speaker}/1240/{speaker}_1240.trans.tsv"] = ""
    return write(root, files)


def ljspeech(root: Path) -> Path:
    rows = 'LJ001-0001|Printing, in 1455|Printing, in fourteen fifty-five\nLJ001-0002|a "b"|\n'
    wavs = {f"LJSpeech-1.1/wavs/LJ001-000{number}.wav": "" for number in (1, 2)}
    return write(root, {"LJSpeech-1.1/metadata.csv": rows, **wavs})


def common_voice(root: Path) -> Path:
    files = {}
    columns = (
        "client_id path sentence_id sentence sentence_domain up_votes down_votes age gender accents variant locale"
    )
    head = "\t".join([*columns.split(), "segment"]) + "\n"
    for language in ("cy", "eu"):
        for side in ("train", "dev", "test"):
            clip = f"common_voice_{language}_{side}.mp3"
            files[f"{language}/clips/{clip}"] = ""
            row = ["5e3f" + side, clip, "0a1b", "Mae'n \"dda", "", "2", "0", "", "", "", "", language, ""]
            files[f"{language}/{side}.tsv"] = head + "\t".join(row) + "\n"
        files[f"{language}/validated.tsv"] = head
    return write(root, files)


def speech_commands(root: Path) -> Path:
    names = [
        f"{word}/{who}_nohash_{number}.wav"
        for word in ("yes", "no")
        for who in ("0a7c", "1b2d", "c3e4")
        for number in (0, 1)
    ]
    files = dict.fromkeys(names, "") | {"_background_noise_/pink_noise.wav": "", "LICENSE": ""}
    files["validation_list.txt"] = "".join(f"{name}\n" for name in names if "1b2d" in name)
    files["testing_list.txt"] = "".join(f"{name}\n" for name in names if "c3e4" in name)
    return write(root, files)


def slurp(root: Path) -> Path:
    files, metadata = {}, {}
    for number, side in enumerate(("train", "devel", "test")):
        name = f"audio-150209977{number}"
        recordings = [{"file": f"{name}{end}.flac", "wer": 0, "status": "correct"} for end in ("-headset", "")]
        files |= {f"audio/slurp_real/{one['file']}": "" for one in recordings}
        entry = {
            "slurp_id": number,
            "sentence": "wake me up",
            "intent": "alarm_set",
            "action": "set",
            "scenario": "alarm",
        }
        files[f"dataset/slurp/{side}.jsonl"] = json.dumps(entry | {"recordings": recordings, "tokens": []}) + "\n"
        metadata[str(number)] = {"recordings": {one["file"]: {"usrid": f"FO-46{number}"} for one in recordings}}
    return write(root, files | {"dataset/slurp/metadata.json": json.dumps(metadata)})


def iemocap(root: Path) -> Path:
    files = {}
    for session in (1, 2):
        base = f"IEMOCAP_full_release/Session{session}"
        dialog = f"Ses0{session}F_impro01"
        lines = ["% [START_TIME - END_TIME] TURN_NAME EMOTION [V, A, D]\n\n"]
        for number, (who, emotion) in enumerate([("F", "neu"), ("M", "exc"), ("F", "xxx"), ("M", "ang"), ("F", "sad")]):
            name = f"{dialog}_{who}00{number}"
            files[f"{base}/sentences/wav/{dialog}/{name}.wav"] = ""
            lines.append(
                f"[{number}.2901 - {number + 2}.2357]\t{name}\t{emotion}\t[2.5000, 2.5000, 2.5000]\nC-E2:\tNeutral;\n\n"
            )
        files[f"{base}/dialog/EmoEvaluation/{dialog}.txt"] = "".join(lines)
        files[f"{base}/dialog/EmoEvaluation/Categorical/{dialog}_e1_cat.txt"] = ""
    return write(root, files)


def voxceleb1(root: Path) -> Path:
    names = [
        f"{who}/{video}/0000{number}.wav"
        for who in ("id10001", "id10270")
        for video, number in (("aB1", 1), ("c_D", 2), ("-eF", 3))
    ]
    files = {f"wav/{name}": "" for name in names}
    files["iden_split.txt"] = "".join(f"{number % 3 + 1} {name}\n" for number, name in enumerate(names))
    files["veri_test.txt"] = (
        "1 id10270/aB1/00001.wav id10270/c_D/00002.wav\n0 id10270/aB1/00001.wav id10270/-eF/00003.wav\n"
    )
    return write(root, files)


def voicebank_demand(root: Path) -> Path:
    files = {}
    for middle, names in (("trainset_28spk", ("p226_001", "p287_002")), ("testset", ("p232_001",))):
        for name in names:
            files |= {f"{kind}_{middle}_wav/{name}.wav": "" for kind in ("noisy", "clean")}
            files[f"{middle}_txt/{name}.txt"] = "Please call Stella.\n"
    return write(root, files)


def libri2mix(root: Path) -> Path:
    files = {}
    for subset in ("train-100", "dev", "test"):
        name = "4077-13754-0001_5142-33396-0065.wav"
        files |= {f"Libri2Mix/wav16k/min/{subset}/{kind}/{name}": "" for kind in ("mix_clean", "s1", "s2")}
        files[f"Libri2Mix/wav16k/min/metadata/mixture_{subset}_mix_clean.csv"] = ""
    return write(root, files)


def musdb18(root: Path) -> Path:
    songs = ("train/A Classic Education - NightOwl", "train/ANiMAL - Rockshow", "test/AM Contra - Heart Peripheral")
    return write(root, {f"{song}/{stem}.wav": "" for song in songs for stem in ("mixture", *STEMS)})


def fuss(root: Path) -> Path:
    files = {}
    for side in ("train", "validation", "eval"):
        mixture = f"{side}/example00000"
        parts = [f"{mixture}_sources/{name}.wav" for name in ("background0_sound", "foreground0_sound")]
        files |= dict.fromkeys([f"ssdata_reverb/{one}" for one in (f"{mixture}.wav", *parts)], "")
        files[f"ssdata_reverb/{side}_example_list.txt"] = "\t".join([f"{mixture}.wav", *parts]) + "\n"
    return write(root, files)


def esc50(root: Path) -> Path:
    head = ["filename", "fold", "target", "category", "esc10", "src_file", "take"]
    rows = [
        [f"{fold}-100032-A-{fold}.wav", str(fold), "0", ("dog", "rain")[fold % 2], "True", "100032", "A"]
        for fold in range(1, 6)
    ]
    root.joinpath("meta").mkdir(parents=True)
    with root.joinpath("meta/esc50.csv").open("w", newline="", encoding="utf-8") as stream:
        csv.writer(stream).writerows([head, *rows])
    return write(root, {f"audio/{row[0]}": "" for row in rows})


def gtzan(root: Path) -> Path:
    names = [f"{genre}/{genre}.0000{number}.wav" for genre in ("blues", "jazz") for number in range(3)]
    lists = {
        f"{side}_filtered.txt": f"{names[place]}\n{names[place + 3]}\n"
        for place, side in enumerate(("train", "valid", "test"))
    }
    return write(root, {f"genres/{name}": "" for name in names} | lists)


def hedgewars(root: Path) -> Path:
    voices = [*"ABCDEFGH", "Default_ru"]
    return write(
        root, {f"Data/Sounds/voices/{one}/{name}.ogg": one + name for one in voices for name in ("Hello", "Ow1")}
    )


MINIATURES: dict[str, Callable[[Path], Path]] = {
    "librispeech": librispeech,
    "libritts": libritts,
    "ljspeech": ljspeech,
    "common-voice": common_voice,
    "speech-commands": speech_commands,
    "slurp": slurp,
    "iemocap": iemocap,
    "voxceleb1": voxceleb1,
    "voicebank-demand": voicebank_demand,
    "libri2mix": libri2mix,
    "musdb18": musdb18,
    "fuss": fuss,
    "esc-50": esc50,
    "gtzan": gtzan,
    "hedgewars": hedgewars,
}
