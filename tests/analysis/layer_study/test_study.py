"""What follows from a study, from figures made up."""

from __future__ import annotations

import json

import pytest

from tokaudio.analysis.layer_study.study import LayerStudy, Measurement
from tokaudio.analysis.statistics.information import Information

ALL = ("phone", "speaker", "pitch", "energy")
# Of 2 layers and MFCC at 100, 500 and 1000 clusters.
SHARES: dict[str, dict[int | None, tuple[float, float, float]]] = {
    "phone": {None: (0.2, 0.25, 0.3), 1: (0.3, 0.35, 0.4), 2: (0.5, 0.58, 0.6)},
    "speaker": {None: (0.1, 0.2, 0.3), 1: (0.2, 0.5, 0.7), 2: (0.05, 0.1, 0.2)},
    "pitch": {None: (0.1, 0.2, 0.3), 1: (0.1, 0.3, 0.4), 2: (0.05, 0.1, 0.2)},
    "energy": {None: (0.5, 0.6, 0.7), 1: (0.3, 0.3, 0.3), 2: (0.2, 0.2, 0.2)},
}


def told(share: float) -> Information:
    """Return information whose share is this."""
    return Information(1000, 100, 40, 4.0, 4.0 * share, 4.0 * share, 0.0, share, 0.5, 0.1)


def study(attributes: tuple[str, ...] = ALL, *, cepstra: bool = True, layers: tuple[int, ...] = (1, 2)) -> LayerStudy:
    measurements = tuple(
        Measurement(layer, size, attribute, told(share))
        for attribute in attributes
        for layer, shares in SHARES[attribute].items()
        if (cepstra if layer is None else layer in layers)
        for size, share in zip((100, 500, 1000), shares, strict=True)
    )
    return LayerStudy("tiny", layers, (100, 500, 1000), attributes, measurements, {"minutes": 3.5}, ("Note.",))


def test_the_best_layer_and_enough_clusters() -> None:
    found = study()
    assert found.best("phone").layer == 2 and found.best("phone").clusters == 1000
    assert found.best("energy").layer == 1  # MFCC keeps more, and is no layer
    assert found.enough("phone", 2) == 500 and found.enough("speaker", 1) == 1000 and found.enough("energy", 1) == 100
    one = found.at("pitch", None, 500)
    assert one is not None and one.share == pytest.approx(0.2)
    assert found.at("pitch", 7, 500) is None


def test_sentences_answer_which_layers_and_how_many_clusters() -> None:
    phones, speakers, _, energy, content, voice = study().sentences()
    assert phones == (
        "Phones: layer 2 keeps most, 60 % with 1000 clusters (MFCC: 30 %); 500 clusters are enough for 58 %."
    )
    assert speakers == "Speakers: layer 1 keeps most, 70 % with 1000 clusters (MFCC: 30 %)."
    assert energy.startswith("Energy: layer 1 keeps most, 30 % with 100 clusters (MFCC: 50 %)")
    assert content == "For content, cluster layer 2 with k = 500."
    assert voice == (
        "For a second codebook that adds the voice, cluster layer 1: of speaker and pitch it keeps 40 % on average "
        "where layer 2 keeps 10 %."
    )


def test_sentences_say_what_cannot_be_said() -> None:
    without = study(("pitch", "energy"), cepstra=False).sentences()
    assert without[0] == "Pitch: layer 1 keeps most, 40 % with 1000 clusters."
    assert without[-1].startswith("Which layer keeps the content cannot be said without labels of phones")
    one = study(layers=(2,)).sentences()
    assert one[-1] == "No other layer keeps clearly more of speaker and pitch than this one: one codebook does."
    assert study(("phone", "pitch")).sentences()[-1].endswith("of pitch it keeps 30 % where layer 2 keeps 10 %.")
    assert study(("phone", "energy")).sentences()[-1] == "For content, cluster layer 2 with k = 500."


def test_everything_goes_into_json() -> None:
    document = json.loads(json.dumps(study().to_dict()))
    assert len(document["measurements"]) == 4 * 3 * 3
    first = document["measurements"][0]
    assert (first["features"], first["layer"], first["clusters"], first["share"]) == ("mfcc", None, 100, 0.2)
    assert document["measurements"][3]["features"] == "layer 1" and document["facts"] == {"minutes": 3.5}
