"""The benchmark of quantizers measures single rows and keeps the others, as long as they were measured alike."""

import pytest
import quantizers


@pytest.fixture
def rows(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    sections: dict[str, str] = {}
    learned = {"one": ("vq", {}), "two of it": ("rvq", {"num_codebooks": 2})}

    def learn(name: str, options: dict, *, seed: int, steps: int, spread: float) -> tuple[list[float], ...]:
        count = options.get("num_codebooks", 1)
        return [1 - spread - 0.01 * seed] * count, [0.5] * count

    monkeypatch.setattr(quantizers, "LEARNED", learned)
    monkeypatch.setattr(quantizers, "learn", learn)
    monkeypatch.setattr(quantizers, "read_section", lambda name: sections.get(name, ""))
    return sections


def table(section: str) -> list[str]:
    return [line for line in section.splitlines() if line.startswith(("| one", "| two"))]


def test_the_lowest_of_all_seeds_stands_in_the_table(rows: dict[str, str]):
    section = quantizers.usage_section(3, 10, [0.1, 0.3], "")
    assert table(section) == [
        "| one | 88.0 % | 50.0 % | 68.0 % | 50.0 % |",
        "| two of it | 88.0 %, 88.0 % | 50.0 %, 50.0 % | 68.0 %, 68.0 % | 50.0 %, 50.0 % |",
    ]


def test_rows_that_are_not_measured_stay(rows: dict[str, str]):
    rows["quantizers-usage"] = quantizers.usage_section(1, 10, [0.1], "two")
    assert table(rows["quantizers-usage"]) == ["| two of it | 90.0 %, 90.0 % | 50.0 %, 50.0 % |"]
    rows["quantizers-usage"] = rows["quantizers-usage"].replace("90.0 %, 90.0 %", "77.0 %, 77.0 %")
    both = table(quantizers.usage_section(1, 10, [0.1], "one"))
    assert both == ["| one | 90.0 % | 50.0 % |", "| two of it | 77.0 %, 77.0 % | 50.0 %, 50.0 % |"]
    assert len(table(quantizers.usage_section(2, 10, [0.1], "one"))) == 1, "two seeds are not one"
