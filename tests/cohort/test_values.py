"""Ages, sexes, scanners and what is missing, as tables of this field write them."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.cohort.ages import OLDEST, column_unit, read_age
from workbench.cohort.headers import find_known
from workbench.cohort.match import matched, plain_id, plain_session, session_day, session_number
from workbench.cohort.missing import drop_missing, levels_of
from workbench.cohort.scanner import field_text, scanner_of, scanner_text
from workbench.cohort.sexes import read_sexes
from workbench.cohort.source import Candidate, Source, decoded

unhurried = settings(deadline=None, max_examples=50)


def source_of(column: str, values: list[str], described: object = None) -> Source:
    rows = [{column: value} if value else {} for value in values]
    source = Source("d", [Candidate("d", str(i), Path(str(i)), values=row) for i, row in enumerate(rows)])
    source.described = {column: described} if described is not None else {}
    return source


@unhurried
@given(
    st.floats(0.1, OLDEST - 0.1), st.sampled_from([("months", 12), ("weeks", 52.1775), ("days", 365.25), ("years", 1)])
)
def test_an_age_is_the_same_in_every_unit(years: float, unit: tuple[str, float]) -> None:
    name, per_year = unit
    for text in (f"{years * per_year:.6f}", f"{years * per_year:.6f}".replace(".", ",")):
        assert read_age(text, name)[0] == pytest.approx(years, abs=1e-5)
    assert read_age(f"{years * per_year:.6f} {name}", "years")[0] == pytest.approx(years, abs=1e-5)


@pytest.mark.parametrize(
    ("text", "years", "kind"),
    [
        ("034Y", 34, ""),
        ("018M", 1.5, ""),
        ("P18M", 1.5, ""),
        ("89+", 89, "capped"),
        (">89", 89, "capped"),
        ("≥90", 90, "capped"),
        ("0", math.nan, "impossible"),
        ("150", math.nan, "impossible"),
        ("999", math.nan, "impossible"),
        *((text, math.nan, "odd") for text in ("18-38", "[25, 30)", "25;3", "~30", "old", "1984-05-02", "-3")),
    ],
)
def test_ages_that_are_none_say_why(text: str, years: float, kind: str) -> None:
    age, found = read_age(text)
    assert found == kind and (age == years or (math.isnan(age) and math.isnan(years)))


@pytest.mark.parametrize(
    ("name", "described", "unit"),
    [
        ("age", {"Units": "months"}, "months"),
        ("age", {"Units": "Day(s)"}, "days"),
        ("age_weeks", {}, "weeks"),
        ("Age [months]", {}, "months"),
        ("age", {"Description": "age at scan in months"}, "months"),
        ("age", {"Units": "year"}, "years"),
        ("age_years", {}, ""),
        ("age", {"Units": "light-years"}, ""),
        ("age", {"Units": 5}, ""),
    ],
)
def test_the_unit_of_a_column(name: str, described: object, unit: str) -> None:
    assert column_unit(name, described)[0] == unit


@pytest.mark.parametrize(
    ("levels", "codes"),
    [
        ({"1": "male", "2": "female"}, ["1", "2"]),
        ({"1": {"Description": "Male", "TermURL": "x"}, "2": {"LongName": "Female"}}, ["1", "2"]),
        ({"male": 1, "female": 2}, ["1", "2.0"]),
        (["1: male", "2 = female"], ["1", "2"]),
    ],
)
def test_levels_in_every_form_say_what_a_code_means(levels: object, codes: list[str]) -> None:
    assert read_sexes(codes, "sex", {"Levels": levels}, Source("d")) == ["M", "F"]


def test_half_of_a_coding_is_not_guessed() -> None:
    for given_codes in (["1", "1"], ["2", "2"], ["0", "1"], ["0", "0"]):
        source = Source("d")
        assert read_sexes(given_codes, "sex", None, source) == [None, None]
        assert source.remarks and source.remarks[0].kind == "unused"
    source = Source("d")
    assert read_sexes(["1", "2", "1"], "sex", None, source) == ["M", "F", "M"] and source.remarks[0].kind == "guess"
    assert read_sexes(["1", "2"], "SEX_ID (1=f, 2=m)", None, Source("d")) == ["F", "M"]
    assert read_sexes(["0", "1"], "sex", {"Description": "0 = female; 1 = male"}, Source("d")) == ["F", "M"]


def test_words_for_sex_and_words_that_are_none() -> None:
    words = {"Male": "M", "female ": "F", "Weiblich": "F", "homme": "M", "D": None, "other": None, "": None}
    assert read_sexes(list(words), "sex", None, Source("d")) == list(words.values())


def test_what_stands_for_not_known_is_left_out_and_said() -> None:
    dx = ["CN", "AD", "None", "null", "#N/A", "unknown", "-", "?", "-9999", "AD"]
    source = source_of("dx", dx)
    drop_missing(source)
    assert [c.values.get("dx") for c in source.candidates] == ["CN", "AD", *[None] * 7, "AD"]
    assert source.remarks[0].kind == "guess" and "'null' (1)" in source.remarks[0].text


@pytest.mark.parametrize(
    ("values", "kept"),
    [
        (["100", "-9999", "110", "-9"], ["100", None, "110", None]),
        (["0.5", "1", "-9", "0"], ["0.5", "1", None, "0"]),
        (["-1.5", "-9", "2"], ["-1.5", "-9", "2"]),  # where numbers are negative, −9 may be one
        (["88", "120", "-4"], ["88", "120", None]),
        (["-1", "0", "1"], ["-1", "0", "1"]),
        (["100", "999", "120"], ["100", None, "120"]),
        (["500", "999", "700"], ["500", "999", "700"]),
    ],
)
def test_codes_among_numbers(values: list[str], kept: list[str | None]) -> None:
    source = source_of("score", values)
    drop_missing(source)
    assert [c.values.get("score") for c in source.candidates] == kept


def test_levels_decide_over_the_list() -> None:
    source = source_of("dx", ["1", "-9", "7"], {"Levels": {"1": "case", "-9": "never asked", "7": "Missing"}})
    drop_missing(source)
    assert [c.values.get("dx") for c in source.candidates] == ["1", "-9", None]
    assert levels_of({"Levels": 5}) == {} and levels_of(None) == {}


def test_decimal_commas() -> None:
    source = source_of("score", ["22,5", "3,0"])
    drop_missing(source)
    assert [c.values["score"] for c in source.candidates] == ["22.5", "3.0"] and source.remarks


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "latin-1"])
def test_encodings_of_tables(encoding: str) -> None:
    assert decoded("participant_id\tsite\nsub-1\tZürich\n".encode(encoding)).endswith("Zürich\n")


@pytest.mark.parametrize(
    "texts",
    [
        ["SIEMENS TrioTim 3.0 Tesla", "Siemens Healthineers MAGNETOM Trio Tim, 3T", "siemens triotim 3T"],
        ["GE MEDICAL SYSTEMS DISCOVERY MR750", "GE Healthcare Discovery MR750"],
        ["Philips Medical Systems Achieva 1.5 T", "Philips Achieva 1.5T"],
    ],
)
def test_one_scanner_has_one_name(texts: list[str]) -> None:
    assert len({scanner_text(text) for text in texts}) == 1
    assert {scanner_text(scanner_text(text)) for text in texts} == {scanner_text(texts[0])}


@pytest.mark.parametrize(
    ("given_field", "text"),
    [(3, "3T"), (2.89362, "3T"), ("1.494", "1.5T"), (30000, "3T"), ("3T", "3T"), (7.0, "7T"), ("none", ""), (0, "")],
)
def test_field_strengths(given_field: object, text: str) -> None:
    assert field_text(given_field) == text


def test_sidecars_name_the_maker_once() -> None:
    said = {"Manufacturer": "GE MEDICAL SYSTEMS", "ManufacturersModelName": "GE SIGNA", "MagneticFieldStrength": 2.9}
    assert scanner_of(said) == "GE Signa 3T" and scanner_of({}) == ""


@unhurried
@given(st.integers(1, 10**6), st.integers(0, 4))
def test_zeros_do_not_tell_ids_apart(number: int, zeros: int) -> None:
    assert plain_id(f"sub-{'0' * zeros}{number}") == plain_id(str(number)) == plain_id(f"{number}.0")


def test_only_what_is_unambiguous_is_matched() -> None:
    assert matched(["sub-1", "sub-2"], ["sub-01", "sub-02"], plain_id)[0] == {"sub-1": "sub-01", "sub-2": "sub-02"}
    found, unclear = matched(["sub-1"], ["sub-01", "sub-001"], plain_id)
    assert not found and unclear == ["sub-1"]
    found, unclear = matched(["sub-1", "sub-01"], ["sub-01"], plain_id)
    assert found == {"sub-01": "sub-01"} and unclear == ["sub-1"]


def test_sessions_by_other_names() -> None:
    for names in (["bl", "m12"], ["M00", "M12"], ["baseline", "M012"]):
        found, _ = matched(["ses-M000", "ses-M012"], names, plain_session, session_number)
        assert found == {"ses-M000": names[0], "ses-M012": names[1]}
    assert matched(["ses-1"], ["V1", "V2"], plain_session, session_number)[0] == {"ses-1": "V1"}
    assert not matched(["ses-x"], ["V1", "V2"], plain_session, session_number)[0]


@pytest.mark.parametrize(
    ("name", "unit"),
    [
        ("Age (mo)", "months"),
        ("Age (first visit)", ""),
        ("AgeMonths", "months"),
        ("age_in_days_at_mri", "days"),
        ("age_mths", "months"),
        ("interview_age", "months"),
        ("age_at_scan", ""),
    ],
)
def test_a_column_of_ages_says_its_unit_in_its_name(name: str, unit: str) -> None:
    assert column_unit(name, {})[0] == unit and find_known(["id", name], "age") == name


@pytest.mark.parametrize("name", ["age_at_onset", "brain_age", "age_group", "gestational_age", "page", "manager"])
def test_other_ages_are_not_that_of_the_person(name: str) -> None:
    assert find_known([name], "age") == ""


@pytest.mark.parametrize(
    ("described", "unit"),
    [
        ({"Units": "Months (integer)"}, "months"),
        ({"Units": "weeks of 7 days"}, ""),
        ({"Description": "age, rounded to months"}, "months"),
        ({"Description": "age in years at the 6 months visit"}, "years"),
        ({"Description": "age at the 6 months visit"}, ""),
    ],
)
def test_the_unit_in_a_sentence(described: object, unit: str) -> None:
    assert column_unit("age", described)[0] == unit


def test_a_comma_before_three_digits_is_no_decimal_one() -> None:
    assert math.isnan(read_age("1,200")[0]) and read_age("34,5")[0] == 34.5 and read_age("34.125")[0] == 34.125


def test_a_sex_that_its_levels_turn_round_is_left_out() -> None:
    source = source_of("sex", ["F", "M"])
    assert read_sexes(["F", "M"], "sex", {"Levels": {"F": "Male", "M": "Female"}}, source) == [None, None]
    assert "opposite" in source.notes[0]
    assert read_sexes(["M/F", "Frau", "female (reported)"], "sex", None, source) == [None, "F", "F"]


def test_ids_of_public_sets_and_accents_are_one_however_they_are_written() -> None:
    assert plain_id("sub-ADNI002S0413") == plain_id("002_S_0413") != plain_id("002_S_0414")
    assert plain_id("sub-OAS10001") == plain_id("sub-OASIS10001") == plain_id("OAS1_0001") != plain_id("OAS2_0001")
    assert plain_id("sub-M\u00fcller") == plain_id("Mu\u0308ller") != plain_id("M\u00f6ller")
    assert plain_id("Subject_02") == plain_id("sub-sub-2") == "2" and plain_id("subway") != plain_id("way 2")


def test_a_session_named_after_its_day() -> None:
    assert session_day("2001-02-03") == session_day("ses-20010203") == "20010203" and session_day("ses-01") == ""
