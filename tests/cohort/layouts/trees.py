"""Public data sets as they lie on disk after their download: the true names, simulated scans, made-up people.

from tests.cohort.layouts import trees

trees.ixi(tmp_path / "ixi")                    # two people of each hospital, IXI.xls as .xlsx
trees.adni(tmp_path / "adni", people=4)        # the archive's tree, ADNIMERGE.csv
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from xml.sax.saxutils import escape

import nibabel as nib
import numpy as np

from workbench.testing import phantom, phantom_labels
from workbench.volumes import Volume, write_volume

HOSPITALS = ("HH", "Guys", "IOP")
ADNI_SITES = ("002", "011", "027")


def scan(path: Path, seed: int, axcodes: str = "RAS") -> Volume:
    """A simulated scan of the person that ``seed`` stands for, in the format that the ending of ``path`` names."""
    volume = phantom(axcodes, noise=5, seed=seed)
    _write(path, volume.data.astype(np.int16), volume.affine)
    return volume


def labels(path: Path, like: Volume, codes: dict[int, int]) -> None:
    """The phantom's two hippocampi (1 right, 2 left) under the codes of a data set; 0 leaves one out."""
    data = phantom_labels(like.grid).data
    out = np.zeros_like(data)
    for ours, theirs in codes.items():
        out[data == ours] = theirs
    _write(path, out.astype(np.int16), like.affine)


def _write(path: Path, data: np.ndarray, affine: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".mgz":
        nib.save(nib.MGHImage(data.astype(np.int32), affine), path)
    elif path.suffix == ".img":
        nib.save(nib.Spm99AnalyzeImage(data, None), path)
    else:
        write_volume(path, Volume(data, affine))


def csv(path: Path, header: Sequence[str], rows: Sequence[Sequence[object]], separator: str = ",") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(separator.join(map(str, row)) for row in [header, *rows]) + "\n")
    return path


def xlsx(
    path: Path,
    header: Sequence[str],
    rows: Sequence[Sequence[object]] = (),
    further: Mapping[str, Sequence[Sequence[object]]] = {},
) -> Path:
    """The smallest workbook that a spreadsheet program opens: a sheet "Table" and ``further`` ones, numbers as
    numbers."""
    sheets = {"Table": [header, *rows], **further}
    main = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
    rel = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
    package = "http://schemas.openxmlformats.org/package/2006"
    listed = "".join(f'<sheet name="{name}" sheetId="{n}" r:id="b{n}"/>' for n, name in enumerate(sheets, 1))
    linked = "".join(
        f'<Relationship Id="b{n}" Type="{rel}/worksheet" Target="worksheets/sheet{n}.xml"/>'
        for n, _ in enumerate(sheets, 1)
    )
    parts = {
        "[Content_Types].xml": f'<Types xmlns="{package}/content-types"><Default Extension="rels" ContentType='
        '"application/vnd.openxmlformats-package.relationships+xml"/><Default Extension="xml" ContentType='
        '"application/xml"/></Types>',
        "_rels/.rels": f'<Relationships xmlns="{package}/relationships"><Relationship Id="a" '
        f'Type="{rel}/officeDocument" Target="xl/workbook.xml"/></Relationships>',
        "xl/workbook.xml": f'<workbook xmlns="{main}" xmlns:r="{rel}"><sheets>{listed}</sheets></workbook>',
        "xl/_rels/workbook.xml.rels": f'<Relationships xmlns="{package}/relationships">{linked}</Relationships>',
    }
    for n, cells in enumerate(sheets.values(), 1):
        data = "".join(f"<row>{''.join(map(_cell, row))}</row>" for row in cells)
        parts[f"xl/worksheets/sheet{n}.xml"] = f'<worksheet xmlns="{main}"><sheetData>{data}</sheetData></worksheet>'
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w") as file:
        for name, text in parts.items():
            file.writestr(name, f'<?xml version="1.0" encoding="UTF-8"?>{text}')
    return path


def _cell(cell: object) -> str:
    if isinstance(cell, int | float):
        return f"<c><v>{cell}</v></c>"
    return f'<c t="inlineStr"><is><t>{escape(str(cell))}</t></is></c>'


def ixi(root: Path, people: int = 6) -> Path:
    rows = []
    for i in range(people):
        number = 12 + 7 * i
        hospital = HOSPITALS[i % 3]
        scan(root / "IXI-T1" / f"IXI{number:03d}-{hospital}-{700 + i:04d}-T1.nii.gz", 100 + i, "PSR")
        rows.append([number, 1 + (i // 3) % 2, 1.7, 30.5 + i, "2005-05-17"])
    header = ["IXI_ID", "SEX_ID (1=m, 2=f)", "HEIGHT", "AGE", "STUDY_DATE"]
    xlsx(root / "IXI.xlsx", header, rows)
    return root


def adni_person(i: int) -> str:
    return f"{ADNI_SITES[i % 3]}_S_{295 + i:04d}"


def adni(root: Path, people: int = 6, visits: int = 2) -> Path:
    """Person 0 has an acquisition in two versions; everybody comes to ``visits`` visits, half a year apart."""
    rows = []
    for i in range(people):
        person = adni_person(i)
        for k in range(visits):
            day, image = f"200{6 + k}-04-18", 118671 + 100 * i + k
            made = "MPR__GradWarp__B1_Correction__N3__Scaled"
            for series, number in (("MPRAGE", image), *([(made, image + 50)] if i == k == 0 else [])):
                folder = root / person / series / f"{day}_08_20_30.0" / f"I{number}"
                name = f"ADNI_{person}_MR_{series}_Br_20070101000000000_S{13408 + 10 * i + k}_I{number}.nii"
                scan(folder / name, 1000 + 10 * i + k + (900 if number != image else 0))
            diagnosis, sex = ("CN", "MCI", "Dementia")[(i + k) % 3], ("Male", "Female")[i % 2]
            rows.append(
                [295 + i, person, ("bl", "m12")[k % 2], f"200{6 + k}-04-10", "2006-04-10", 70.0 + i, sex, diagnosis]
            )
    header = ["RID", "PTID", "VISCODE", "EXAMDATE", "EXAMDATE_bl", "AGE", "PTGENDER", "DX"]
    csv(root.parent / f"{root.name}_tables" / "ADNIMERGE.csv", header, rows)
    return root


def aibl(root: Path, people: int = 8) -> Path:
    tables = root.parent / f"{root.name}_Data_extract_3.3.0"
    demog, dx, meta = [], [], []
    for i in range(people):
        rid, image = str(3 + i), 239487 + i
        folder = root / rid / "MPRAGE_ADNI_confirmed" / "2009-07-28_10_38_51.0" / f"I{image}"
        scan(folder / f"AIBL_{rid}_MR_MPRAGE_ADNI_confirmed_br_raw_20110101000000000_1_S77_I{image}.nii", 2000 + i)
        demog.append([rid, 1 + i % 2, "bl", 1 + i // 2 % 2, f"/{1935 + i}"])
        dx.append([rid, 1 + i % 2, "bl", 3 if i // 2 % 2 else 1])
        meta.append([rid, 1 + i % 2, "bl", "07/28/2009"])
    csv(tables / "aibl_ptdemog_01-Jun-2018.csv", ["RID", "SITEID", "VISCODE", "PTGENDER", "PTDOB"], demog)
    csv(tables / "aibl_pdxconv_01-Jun-2018.csv", ["RID", "SITEID", "VISCODE", "DXCURREN"], dx)
    csv(tables / "aibl_mri3meta_01-Jun-2018.csv", ["RID", "SITEID", "VISCODE", "EXAMDATE"], meta)
    return root


def oasis1(root: Path, ending: str = ".nii.gz") -> Path:
    """Two people, the first of them twice, unpacked into ``disc1``; the discs themselves hold ``.img``."""
    rows = []
    for i, name in enumerate(["OAS1_0001_MR1", "OAS1_0001_MR2", "OAS1_0002_MR1"]):
        session = root / "disc1" / name
        scan(session / f"PROCESSED/MPRAGE/SUBJ_111/{name}_mpr_n4_anon_sbj_111{ending}", 3000 + i)
        scan(session / f"RAW/{name}_mpr-1_anon{ending}", 3010 + i)
        scan(session / f"PROCESSED/MPRAGE/T88_111/{name}_mpr_n4_anon_111_t88_gfc{ending}", 3020 + i)
        rows.append([name, "FM"[i // 2], 74 + i, 0.5 * (i // 2)])
    csv(root / "oasis_cross-sectional.csv", ["ID", "M/F", "Age", "CDR"], rows)
    return root


def oasis3(root: Path) -> Path:
    for i, (person, session) in enumerate([("OAS30001", "d0129"), ("OAS30001", "d0757"), ("OAS30002", "d0371")]):
        stem = f"sub-{person}_ses-{session}_run-01_T1w"
        folder = root / f"{person}_MR_{session}" / "anat2"
        scan(folder / "NIFTI" / f"{stem}.nii.gz", 4000 + i)
        (folder / "BIDS").mkdir()
        told = {"Manufacturer": "Siemens", "ManufacturersModelName": "TrioTim", "MagneticFieldStrength": 3}
        (folder / "BIDS" / f"{stem}.json").write_text(json.dumps(told))
    files = root / "OASIS3_data_files" / "scans"
    demographics = [["OAS30001", 65.0, 2], ["OAS30002", 70.5, 1]]
    folder = files / "demo-demographics" / "resources" / "csv" / "files"
    csv(folder / "OASIS3_demographics.csv", ["OASISID", "AgeatEntry", "GENDER"], demographics)
    visits = [["OAS30001", 100, 29, 0.0], ["OAS30001", 800, 25, 0.5], ["OAS30002", 3000, 28, 0.0]]
    folder = files / "UDSb4-Form_B4" / "resources" / "csv" / "files"
    csv(folder / "OASIS3_UDSb4_cdr.csv", ["OASISID", "days_to_visit", "MMSE", "CDRTOT"], visits)
    return root


def harp(root: Path, people: int = 6, first: int = 2, sides: str = "LR") -> Path:
    """People ``first`` and later of ``adni``, so that some may be in both."""
    for i in range(first, first + people):
        person, image = adni_person(i), 13722 + i
        subset = "100" if i % 2 else "35"
        like = scan(root / subset / f"ADNI_{person}_{image}_ACPC.nii", 5000 + i)
        for side in sides:
            theirs = {1: int(side == "R"), 2: int(side == "L")}
            labels(root / f"Labels_{subset}_NIFTI" / f"ADNI_{person}_{image}_{side}.nii", like, theirs)
    return root


BRATS = {
    2020: ("BraTS20_Training_{:03d}", "_{}.nii", ("t1", "t1ce", "t2", "flair")),
    2021: ("BraTS2021_{:05d}", "_{}.nii.gz", ("t1", "t1ce", "t2", "flair")),
    2023: ("BraTS-GLI-{:05d}-000", "-{}.nii.gz", ("t1n", "t1c", "t2w", "t2f")),
    2024: ("BraTS-GLI-{:05d}-10{}", "-{}.nii.gz", ("t1n", "t1c", "t2w", "t2f")),
}


def brats(root: Path, year: int = 2021, people: int = 3) -> Path:
    """Of 2024 everybody comes twice."""
    case, ending, contrasts = BRATS[year]
    for i in range(people):
        for time in range(2 if year == 2024 else 1):
            name = case.format(i + 1, time)
            for number, contrast in enumerate(contrasts):
                like = scan(root / name / f"{name}{ending.format(contrast)}", 6000 + 100 * i + 10 * time + number)
            labels(root / name / f"{name}{ending.format('seg')}", like, {1: 2, 2: 3 if year > 2021 else 4})
    if year == 2020:
        csv(
            root / "name_mapping.csv",
            ["Grade", "BraTS_2019_subject_ID", "BraTS_2020_subject_ID"],
            [["HGG", f"BraTS19_CBICA_AA{i}_1", case.format(i + 1)] for i in range(people)],
        )
    return root


def nnunet(root: Path, version: int = 2, channels: Sequence[str] = ("T1",), people: int = 3) -> Path:
    for i in range(people):
        for number, _ in enumerate(channels):
            like = scan(root / "imagesTr" / f"hippo_{i:03d}_{number:04d}.nii.gz", 7000 + 10 * i + number)
        labels(root / "labelsTr" / f"hippo_{i:03d}.nii.gz", like, {1: 2, 2: 1})
    scan(root / "imagesTs" / f"hippo_900_{list(channels).index('T1') if 'T1' in channels else 0:04d}.nii.gz", 7900)
    names = {str(number): name for number, name in enumerate(channels)}
    named = {"background": 0, "Left Hippocampus": 1, "Right Hippocampus": 2}
    listing = {"channel_names": names, "labels": named, "numTraining": people, "file_ending": ".nii.gz"}
    if version == 1:
        cases = [f"hippo_{i:03d}.nii.gz" for i in range(people)]
        training = [{"image": f"./imagesTr/{case}", "label": f"./labelsTr/{case}"} for case in cases]
        turned = {str(code): name for name, code in named.items()}
        listing = {"modality": names, "labels": turned, "numTraining": people, "training": training, "test": []}
    (root / "dataset.json").write_text(json.dumps(listing))
    return root


def freesurfer(root: Path, names: Sequence[str] = ("OAS1_0001_MR1", "OAS1_0001_MR2", "bert", "fsaverage")) -> Path:
    for i, name in enumerate(names):
        like = scan(root / name / "mri" / "T1.mgz", 8000 + i, "LIA")
        labels(root / name / "mri" / "aseg.mgz", like, {1: 53, 2: 17})
    return root


def fomo(root: Path) -> Path:
    people, info = [], []
    for i, (origin, person, session, name) in enumerate(
        [
            ("PT001_OASIS1", "sub_1", "ses_1", "t1"),
            ("PT001_OASIS1", "sub_1", "ses_1", "t1_2"),
            ("PT001_OASIS1", "sub_1", "ses_1", "flair"),
            ("PT005_IXI", "sub_2", "ses_1", "t1"),
        ]
    ):
        scan(root / origin / person / session / f"{name}.nii.gz", 9000 + i)
        people.append([origin, person, session, "MF"[i // 3], 40 + i // 3])
        info.append([origin, person, session, f"{name}.nii.gz", "Siemens", "Vision", 1.5])
    unique = [list(row) for row in dict.fromkeys(map(tuple, people))]
    csv(root / "participants.tsv", ["dataset", "participant_id", "session_id", "sex", "age"], unique, "\t")
    header = ["dataset", "participant_id", "session_id", "filename", "Manufacturer", "ManufacturersModelName"]
    csv(root / "mri_info.tsv", [*header, "MagneticFieldStrength"], info, "\t")
    return root
