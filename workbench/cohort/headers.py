"""Names of columns as this field writes them: one spelling for comparing, and what a name says of its values."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

# best first, in the spelling of `spelt`
NAMES = {
    "site": (
        "site",
        "site_id",
        "siteid",
        "site_name",
        "site_number",
        "site_code",
        "acquisition_site",
        "scan_site",
        "scanner_site",
        "scannersite",
        "study_site",
        "mri_site",
        "imaging_site",
        "center",
        "centre",
        "hospital",
        "institution",
        "institution_name",
        "institutionname",
    ),
    "scanner": ("scanner", "scanner_id", "scanner_name"),
    "sex": (
        "sex",
        "gender",
        "m_f",
        "sex_id",
        "ptgender",
        "participant_sex",
        "subject_sex",
        "biological_sex",
        "sex_at_birth",
    ),
    "age": (
        "age",
        "age_at_scan",
        "age_years",
        "age_in_years",
        "age_yrs",
        "age_year",
        "age_yr",
        "ageyears",
        "ageatscan",
        "age_months",
        "age_in_months",
        "age_month",
        "age_mo",
        "agemonths",
        "age_weeks",
        "age_in_weeks",
        "age_days",
        "age_in_days",
        "age_at_mri",
        "age_at_mr",
        "age_at_session",
        "age_at_visit",
        "age_scan",
        "scan_age",
        "subject_age",
        "participant_age",
    ),
    "diagnosis": ("diagnosis", "dx", "dx_bl", "research_group"),
}
# further columns of ages, from the words that they are put together of: "age_in_days_at_mri", "baseline_age"
_AGE = re.compile(
    r"(?=.*age)(?:(?:age|at|in|of|scan|scanning|mri|mr|session|ses|visit|imaging|acquisition|test|testing|exam|baseline|"
    r"bl|entry|interview|subject|participant|patient|current|exact|decimal|years?|yrs?|months?|mths?|mos?|weeks?|wks?|"
    r"days?)_?)+"
)
PERSON = (
    "participant",
    "participant_id",
    "subject",
    "subject_id",
    "subjectid",
    "subjid",
    "sub",
    "sub_id",
    "subid",
    "subj",
    "subj_id",
    "subject_label",
    "participantid",
    "participant_label",
    "src_subject_id",  # of NIMH's archive
    "naccid",
    "patno",  # of PPMI
    "ccid",  # of Cam-CAN
    "ptid",
    "rid",
    "oasisid",
    "ixi_id",
    "patient",
    "patient_id",
    "patientid",
    "person",
    "person_id",
)
SESSION = (
    "session",
    "session_id",
    "ses",
    "ses_id",
    "visit",
    "visit_id",
    "visit_code",
    "viscode",
    "wave",
    "timepoint",
    "time_point",
    "eventname",  # of ABCD
)
PATH = (
    "path",
    "filepath",
    "file_path",
    "file",
    "filename",
    "scan",
    "scan_path",
    "image",
    "image_path",
    "t1w",
    "t1w_path",
)
CONTRAST = ("contrast", "modality", "suffix", "sequence", "scan_type", "image_type")
SEGMENTATION = ("seg_path", "seg", "segmentation", "segmentation_path", "label_path", "labels_path")
MASK = ("mask_path", "brain_mask", "brain_mask_path", "mask")


def spelt(name: str) -> str:
    """A column's name for comparing: "SEX_ID (1=m, 2=f)" → "sex_id", "M/F" → "m_f", "Age at Scan" → "age_at_scan"."""
    return re.sub(r"[^a-z0-9]+", "_", re.sub(r"[(\[].*$", "", name.lower())).strip("_")


def find(columns: Iterable[str], names: Iterable[str]) -> str:
    """The data set's own spelling of a known column; "" where it has none. Of two spellings the first counts."""
    present: dict[str, str] = {}
    for column in columns:
        present.setdefault(spelt(column), column)
    return next((present[name] for name in names if name in present), "")


def find_known(columns: Iterable[str], known: str) -> str:
    """The data set's own spelling of a column of ``NAMES``; "" where it has none."""
    columns = list(columns)
    other = next((c for c in columns if _AGE.fullmatch(spelt(c))), "") if known == "age" else ""
    return find(columns, NAMES[known]) or other


def described(name: str) -> dict[str, Any]:
    """What a name says of its values, as BIDS would: ``Levels`` of "SEX_ID (1=m, 2=f)", what may be the ``Units`` of
    "Age [months]"."""
    inside = re.search(r"[(\[]([^)\]]*)", name)
    if not inside:
        return {}
    levels = dict(re.findall(r"(\w+)\s*[=:]\s*(\w+)", inside[1]))
    if levels:
        return {"Levels": levels}
    return {"Units": inside[1].strip()}
