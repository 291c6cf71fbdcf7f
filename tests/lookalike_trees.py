"""Tiny trees that look like the public data sets, quirks included; every pixel and identity in them is made up."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

FOR_PRESENTATION = "1.2.840.10008.5.1.4.1.1.1.2"


def code(value: str, meaning: str, scheme: str = "SRT", modifiers: Iterable[Dataset] = ()) -> Dataset:
    """One item of a code sequence, with the view modifiers inside it that the standard asks for."""
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, scheme, meaning
    item.ViewModifierCodeSequence = Sequence(modifiers)
    return item


def mammogram(uid: str, **tags: Any) -> Dataset:
    """A plain right CC mammogram, 48 x 36 pixels of 4 mm; a tag given as None is left out."""
    dataset = Dataset()
    values = {
        "SOPClassUID": FOR_PRESENTATION,
        "SOPInstanceUID": generate_uid(entropy_srcs=[uid]),
        "StudyInstanceUID": generate_uid(entropy_srcs=["study", uid]),
        "SeriesInstanceUID": generate_uid(entropy_srcs=["series", uid]),
        "Modality": "MG",
        "PresentationIntentType": "FOR PRESENTATION",
        "ImageType": ["ORIGINAL", "PRIMARY"],
        "PatientID": f"id-{uid}",
        "ViewPosition": "CC",
        "ImageLaterality": "R",
        "ImagerPixelSpacing": [4.0, 4.0],
        "SamplesPerPixel": 1,
        "PhotometricInterpretation": "MONOCHROME2",
        "Rows": 48,
        "Columns": 36,
        "BitsAllocated": 8,
        "BitsStored": 8,
        "HighBit": 7,
        "PixelRepresentation": 0,
        **tags,
    }
    for name, value in values.items():
        if value is not None:
            setattr(dataset, name, value)
    return dataset


def write(path: Path, dataset: Dataset) -> Path:
    """Write with pixels (a ramp) of the size that the header says; returns the path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if "Rows" in dataset:
        pixels = dataset.Rows * dataset.Columns * int(dataset.get("NumberOfFrames", 1)) * dataset.BitsAllocated // 8
        dataset.PixelData = np.resize(np.arange(251, dtype=np.uint8), pixels + pixels % 2).tobytes()
        dataset["PixelData"].VR = "OB"
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.get("SOPInstanceUID", "1.2.3")
    dataset.file_meta.MediaStorageSOPClassUID = dataset.get("SOPClassUID", FOR_PRESENTATION)
    dataset.save_as(path, enforce_file_format=True)
    return path


def raster(path: Path, *, mode: str = "L", size: tuple[int, int] = (256, 300)) -> Path:
    """A grey ramp; size is columns, rows."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.linear_gradient("L").resize(size).convert(mode).save(path)
    return path


CBIS_HEAD = "patient_id,{density},left or right breast,image view,abnormality id,abnormality type,{kind},assessment,pathology,subtlety,image file path,cropped image file path,ROI mask file path"


def cbis_ddsm(root: Path) -> None:
    """P_00001: mass, two abnormalities in one view, crop and mask swapped in one row; P_00002: calcification, also in the mass set; folders of today's download."""

    def full(name: str, folder: str, patient_id: str) -> str:
        series = generate_uid(entropy_srcs=[name])
        film = mammogram(name, **_film(patient_id, series, "full mammogram images", 400, 300))
        write(root / "CBIS-DDSM" / folder / "08-07-2016-DDSM-NA-96009" / "1.000000-full mammogram images-24515" / "1-1.dcm", film)
        return f"{name}/{film.StudyInstanceUID}/{series}/000000.dcm"

    def region(name: str) -> tuple[str, str]:
        series = generate_uid(entropy_srcs=[name])
        folder = root / "CBIS-DDSM" / name / "08-07-2016-DDSM-NA-38118" / "1.000000-ROI mask images-18515"
        # Descriptions are no help: both files of a region say ROI mask images.
        write(folder / "1-1.dcm", mammogram(name + "crop", **_film(name, series, "ROI mask images", 60, 50)))
        write(folder / "1-2.dcm", mammogram(name + "mask", **_film(name, series, "ROI mask images", 400, 300)))
        return f"{name}/1.2/{series}/000000.dcm", f"{name}/1.2/{series}/000001.dcm"

    left = full("Mass-Training_P_00001_LEFT_CC", "Mass-Training_P_00001_LEFT_CC", "Mass-Training_P_00001_LEFT_CC")
    first, second = region("Mass-Training_P_00001_LEFT_CC_1"), region("Mass-Training_P_00001_LEFT_CC_2")
    both = full("Mass-Training_P_00002_RIGHT_MLO", "Mass-Training_P_00002_RIGHT_MLO", "Mass-Training_P_00002_RIGHT_MLO")
    # An anonymised copy: only the series UID still tells what it is.
    calcification = full("Calc-Test_P_00003_LEFT_MLO", "renamed", "x1")
    mass = [
        f"P_00001,3,LEFT,CC,1,mass,ROUND,MILLED,4,BENIGN,4,{left},{first[0]},{first[1]}",
        f'P_00001,3,LEFT,CC,2,mass,OVAL,MILLED,4,MALIGNANT,4,{left},{second[1]},"{second[0]}\n"',
        f'P_00002,2,RIGHT,MLO,1,mass,OVAL,MILLED,4,BENIGN_WITHOUT_CALLBACK,4,"{both}\n",a/b/c/0.dcm,a/b/c/1.dcm',
        "P_00009,2,RIGHT,MLO,1,mass,OVAL,MILLED,4,BENIGN,4,a/b/9/0.dcm,a/b/c/0.dcm,a/b/c/1.dcm",
    ]
    calc = [
        f"P_00003,4,LEFT,MLO,1,calcification,PLEO,CLUSTER,4,MALIGNANT,3,{calcification},a/b/d/0.dcm,a/b/d/1.dcm",
        "P_00002,2,RIGHT,MLO,1,calcification,PLEO,CLUSTER,4,BENIGN,3,a/b/e/0.dcm,a/b/d/0.dcm,a/b/d/1.dcm",
    ]
    (root / "mass_case_description_train_set.csv").write_text(
        "\n".join([CBIS_HEAD.format(density="breast_density", kind="mass shape,mass margins"), *mass]) + "\n"
    )
    (root / "calc_case_description_test_set.csv").write_text(
        "\n".join([CBIS_HEAD.format(density="breast density", kind="calc type,calc distribution"), *calc]) + "\n"
    )


def _film(patient_id: str, series: str, description: str, rows: int, columns: int) -> dict[str, Any]:
    return {
        "SeriesInstanceUID": series,
        "SeriesDescription": description,
        "PatientID": patient_id,
        "Rows": rows,
        "Columns": columns,
        "BitsAllocated": 16,
        "BitsStored": 16,
        "HighBit": 15,
        "ViewPosition": None,
        "ImageLaterality": None,
        "PresentationIntentType": None,
        "ImagerPixelSpacing": None,
        "SOPClassUID": "1.2.840.10008.5.1.4.1.1.7",
    }


def inbreast(root: Path) -> None:
    """Two cases; ML for MLO, a blank ACR, "removed" everywhere, one table row without a file."""
    names = {"20586908": ("6c613a14b80a8591", "R", "CC"), "20586934": ("6c613a14b80a8591", "L", "ML"), "20587054": ("b6a4f750c6df4f90", "R", "ML")}
    for image, (patient, side, view) in names.items():
        header = mammogram(image, PatientID="removed", ViewPosition=None, ImageLaterality=None)
        write(root / "AllDICOMs" / f"{image}_{patient}_MG_{side}_{view}_ANON.dcm", header)
    (root / "AllXML").mkdir()
    (root / "AllXML" / "20586908.xml").write_text("<plist/>")
    lines = [
        "Patient ID;Patient age;Laterality;View;Acquisition date;File Name;ACR;Bi-Rads",
        "removed;removed;R;CC;201001;20586908;4 ;5",
        "removed;removed;L;MLO;201001;20586934; ;1",
        "removed;removed;R;MLO;201001;20587054;2;4a",
        "removed;removed;R;MLO;201001;99999999;2;2",
    ]
    (root / "INbreast.csv").write_text("\n".join(lines) + "\n")


def vindr_mammo(root: Path) -> None:
    """`.dicom` files without patient, view and side; stray spaces in the names of columns; an image without a row."""
    images = {"aa11": ("s1", "L", "CC", "BI-RADS 2"), "aa12": ("s1", "L", "MLO", "BI-RADS 5"), "bb11": ("s2", "R", "MLO", "BI-RADS 3"), "cc11": None}
    lines = ["study_id,series_id,image_id,laterality,view_position ,height,width,breast_birads,breast_density,split"]
    for image, values in images.items():
        header = mammogram(image, PatientID=None, ViewPosition=None, ImageLaterality=None, SOPInstanceUID=generate_uid(entropy_srcs=[image]))
        write(root / "images" / (values[0] if values else "s3") / f"{image}.dicom", header)
        if values:
            lines.append(f"{values[0]},x,{image},{values[1]},{values[2]},48,36,{values[3]},DENSITY C,training")
    (root / "breast-level_annotations.csv").write_text("\n".join(lines) + "\n")
    (root / "metadata.csv").write_text(" SOP Instance UID ,Patient's Age , Manufacturer's Model Name\naa11,051Y,Planmed\n")


def rsna2022(root: Path) -> None:
    """The implant flag only in the table; a view that is not wanted; BreastImplantPresent absent."""
    lines = ["site_id,patient_id,image_id,laterality,view,age,cancer,biopsy,invasive,BIRADS,implant,density,machine_id,difficult_negative_case"]
    for row in ("1,10006,462822612,L,CC,61.0,0,0,0,,0,B,29,False", "1,10006,1459541791,L,MLO,61.0,1,1,0,,0,B,29,False"):
        lines.append(row)
    lines += [
        "2,10011,541722628,R,AT,55.0,0,1,0,2.0,0,,21,True",
        "2,10025,562340703,L,CC,75.0,0,0,0,0.0,1,C,21,False",
        "2,10025,1,L,CC,,0,0,0,0.0,1,C,21,False",
    ]
    for line in lines[1:-1]:
        patient, image = line.split(",")[1:3]
        header = mammogram(image, PatientID=patient, ViewPosition=None, ImageLaterality=None, ImageType=None)
        write(root / "train_images" / patient / f"{image}.dcm", header)
    (root / "train.csv").write_text("\n".join(lines) + "\n")


def cmmd_header(patient: str, number: int, side: str, view: str) -> Dataset:
    """A header as CMMD writes it: the view only as a code, DERIVED on a plain mammogram, no manufacturer, no implant flag."""
    meaning = {"CC": code("R-10242", "cranio-caudal"), "MLO": code("R-10226", "medio-lateral oblique")}[view]
    return mammogram(
        f"{patient}-{number}",
        PatientID=patient,
        StudyInstanceUID=f"1.3.6.1.4.1.{int(patient[1])}.{int(patient[3:])}",
        ViewPosition=None,
        ViewCodeSequence=Sequence([meaning]),
        ImageLaterality=side,
        ImageType=["DERIVED", "PRIMARY"],
        Rows=2294,
        Columns=1914,
        ImagerPixelSpacing=[0.0941, 0.0941],
        VOILUTFunction="SIGMOID",
        StudyDate="20100718",
        PatientAge="044Y",
    )


def cmmd(root: Path) -> None:
    """Two patients; the second's other breast has no clinical row."""
    images = [
        ("D1-0001", "R", "CC"),
        ("D1-0001", "R", "MLO"),
        ("D2-0002", "L", "CC"),
        ("D2-0002", "L", "MLO"),
        ("D2-0002", "R", "CC"),
        ("D2-0002", "R", "MLO"),
    ]
    for number, (patient, side, view) in enumerate(images):
        header = cmmd_header(patient, number, side, view)
        header.Rows, header.Columns, header.ImagerPixelSpacing = 48, 36, [4.0, 4.0]
        write(root / "CMMD" / patient / "07-18-2010-NA-NA-79377" / "1.000000-NA-70244" / f"1-{number}.dcm", header)
    (root / "CMMD" / "LICENSE").write_text("CC BY 4.0")
    clinical = pd.DataFrame(
        [["D1-0001", "R", 44, 2, "calcification", "Benign", None], ["D2-0002", "L", 50, 2, "mass", "Malignant", "Luminal A"]],
        columns=["ID1", "LeftRight", "Age", "number", "abnormality", "classification", "subtype"],
    )
    clinical.to_excel(root / "CMMD_clinicaldata_revision.xlsx", index=False)


CHEXPERT_LABELS = (
    *(
        "No Finding",
        "Enlarged Cardiomediastinum",
        "Cardiomegaly",
        "Lung Opacity",
        "Lung Lesion",
        "Edema",
        "Consolidation",
        "Pneumonia",
        "Atelectasis",
    ),
    *("Pneumothorax", "Pleural Effusion", "Pleural Other", "Fracture", "Support Devices"),
)


def chexpert(root: Path, *, prefix: str = "CheXpert-v1.0-small", underscores: bool = False) -> None:
    """Two editions' prefixes; a lateral view that comes first and a frontal second; -1, 0 and blank; No Finding; age 0; valid/ with a table of its own."""
    images: list[tuple[str, str, str, dict[str, str]]] = [
        ("train/patient00001/study1/view1_frontal.jpg", "68", "AP", {"No Finding": "1.0", "Support Devices": "1.0"}),
        ("train/patient00002/study1/view1_lateral.jpg", "0", "", {"Cardiomegaly": "1.0", "Edema": "-1.0"}),
        ("train/patient00002/study1/view2_frontal.jpg", "0", "PA", {"Cardiomegaly": "1.0", "Edema": "-1.0", "Pleural Effusion": "0.0"}),
        ("train/patient00002/study2/view1_frontal.jpg", "90", "LL", {}),
        ("valid/patient64541/study1/view1_frontal.jpg", "73", "AP", {name: "0.0" for name in CHEXPERT_LABELS} | {"Pleural Other": "1.0"}),
    ]
    labels = [name.replace(" ", "_") for name in CHEXPERT_LABELS] if underscores else CHEXPERT_LABELS
    lines: dict[str, list[str]] = {}
    for number, (path, age, projection, marks) in enumerate(images):
        raster(root / prefix / path, size=(64, 60 + number))
        view = "Lateral" if "lateral" in path else "Frontal"
        cells = ",".join(marks.get(name, "") for name in CHEXPERT_LABELS)
        lines.setdefault(path.split("/")[0], []).append(f"{prefix}/{path},Female,{age},{view},{projection},{cells}")
    # listed, but not downloaded
    lines["train"].append(f"{prefix}/train/patient00003/study1/view1_frontal.jpg,Unknown,40,Frontal,AP," + 13 * ",")
    for name, rows in lines.items():
        (root / prefix / f"{name}.csv").write_text("\n".join([",".join(["Path", "Sex", "Age", "Frontal/Lateral", "AP/PA", *labels]), *rows]) + "\n")


def nih_cxr14(root: Path) -> None:
    """The published header, whose brackets hold unquoted commas; an RGBA file; images in numbered folders."""
    lines = [
        "Image Index,Finding Labels,Follow-up #,Patient ID,Patient Age,Patient Gender,View Position,OriginalImage[Width,Height],OriginalImagePixelSpacing[x,y]",
        "00000001_000.png,Cardiomegaly|Emphysema,0,1,57,M,PA,2682,2749,0.143,0.143",
        "00000001_001.png,Pleural_Thickening,1,1,058Y,M,AP,2894,2729,0.143,0.143",
        "00000002_000.png,No Finding,0,2,412,F,PA,2500,2048,0.171,0.171",
        "00000003_000.png,Hernia,0,3,81,F,PA,2582,2991,0.143,0.143",
    ]
    raster(root / "images_001/images/00000001_000.png", size=(64, 64))
    raster(root / "images_001/images/00000001_001.png", size=(64, 60), mode="RGBA")
    raster(root / "images_002/images/00000002_000.png", size=(60, 64))
    (root / "Data_Entry_2017_v2020.csv").write_text("\n".join(lines) + "\n")


RSNA_KINDS = ("epidural", "intraparenchymal", "intraventricular", "subarachnoid", "subdural")


def rsna_ich(root: Path) -> None:
    """Names in place of UIDs; rows that are there twice; short pixels; an image of one value; one that is not square; one without rows."""
    images = {
        "ID_000012eaf": ("ID_p1", ["epidural", "subdural"]),
        "ID_000039fa0": ("ID_p1", []),
        "ID_6431af929": ("ID_p2", ["subdural"]),
        "ID_e20bf3f8a": ("ID_p2", []),
        "ID_00005679d": ("ID_p3", ["intraventricular"]),
        "ID_00ffffff0": ("ID_p3", None),
    }
    lines = ["ID,Label"]
    for name, (patient, kinds) in images.items():
        square = {} if name != "ID_00005679d" else {"Columns": 40}
        tags = {"StudyInstanceUID": f"study of {patient}", "SeriesInstanceUID": "ID_s", "PatientID": patient, "ImageType": None}
        header = mammogram(name, **(head_ct_tags() | tags | square | {"SOPInstanceUID": name}))
        path = write(root / "stage_2_train" / f"{name}.dcm", header)
        data = path.read_bytes()
        pixels = header.Rows * header.Columns * 2
        if name == "ID_6431af929":
            path.write_bytes(data[:-100])
        elif name == "ID_e20bf3f8a":
            path.write_bytes(data[:-pixels] + b"\x30\x00" * (pixels // 2))
        if kinds is not None:
            rows = [f"{name}_{kind},{int(kind in kinds)}" for kind in RSNA_KINDS] + [f"{name}_any,{int(bool(kinds))}"]
            lines += rows + (rows if name == "ID_000039fa0" else [])
    (root / "stage_2_train.csv").write_text("\n".join(lines) + "\n")


def head_ct_tags() -> dict[str, Any]:
    """What a head CT's header has where a mammogram's has something else."""
    absent = ("PresentationIntentType", "ViewPosition", "ImageLaterality", "ImagerPixelSpacing")
    return {
        **dict.fromkeys(absent),
        "SOPClassUID": "1.2.840.10008.5.1.4.1.1.2",
        "Modality": "CT",
        "PixelSpacing": [4.0, 4.0],
        "Rows": 48,
        "Columns": 48,
        "BitsAllocated": 16,
        "BitsStored": 12,
        "HighBit": 11,
        "RescaleIntercept": "-1024",
        "RescaleSlope": "1",
        "WindowCenter": ["00040", "00040"],
        "WindowWidth": ["00080", "00080"],
    }


def mr_series(
    folder: Path,
    *,
    patient: str,
    description: str,
    time: int,
    slices: int = 6,
    study: str = "1",
    downwards: bool = False,
    plane: tuple[float, ...] = (1, 0, 0, 0, 1, 0),
    origin: tuple[float, float, float] = (-24, -30, 0),
    first: int = 1,
    **tags: Any,
) -> Path:
    """Axial slices of 48 x 36 pixels of 1 mm, 2 mm apart, as 1-001.dcm, 1-002.dcm, ...: upwards or downwards in that order; `time`: seconds after 10 o'clock."""
    for number in range(slices):
        place = (slices - 1 - number if downwards else number) * 2
        uid = f"{folder} {number + first}"
        values = {
            **dict.fromkeys(("PresentationIntentType", "ViewPosition", "ImageLaterality", "ImagerPixelSpacing")),
            "SOPClassUID": "1.2.840.10008.5.1.4.1.1.4",
            "Modality": "MR",
            "PatientID": patient,
            "StudyInstanceUID": generate_uid(entropy_srcs=[patient, study]),
            "SeriesInstanceUID": generate_uid(entropy_srcs=[str(folder)]),
            "SeriesDescription": description,
            "SeriesNumber": time,
            "InstanceNumber": number + first,
            "PixelSpacing": [1.0, 1.0],
            "ImageOrientationPatient": list(plane),
            "ImagePositionPatient": [origin[0], origin[1], origin[2] + place],
            "AcquisitionTime": f"10{time // 60:02d}{time % 60:02d}.5",
            **tags,
        }
        write(folder / f"1-{number + first:03d}.dcm", mammogram(uid, **values))
    return folder


def duke_breast_mri(root: Path, *, mapping: str = "") -> None:
    """Breast_MRI_001 as usual; 002 from head to feet, with its rows and columns turned; 003 with three phases after contrast; 004 with the other names of
    phases; 005 without a box; a segmentation in each. With a `mapping` (csv or xlsx) the T1 series of 001 are called anything, and its names are spelled in the
    ways of that file."""
    names = {phase: f"ax dyn {word} pass" for phase, word in zip(("post_1", "post_2", "post_3", "post_4"), ("1st", "2nd", "3rd", "4th"), strict=True)}
    other = {f"post_{number}": f"Ph{number}/ax dyn" for number in range(1, 5)}
    lines = ["original_path_and_filename,classic_path,descriptive_path"]
    for number in range(1, 6):
        patient = f"Breast_MRI_{number:03d}"
        turned = {"downwards": True, "plane": (-1, 0, 0, 0, -1, 0), "origin": (24, 17, 0)} if number == 2 else {}
        study = root / "Duke-Breast-Cancer-MRI" / patient / "01-01-1990-NA-MRI BREAST BILATERAL W WO-97538"
        series = {"pre": "ax dyn pre", **(other if number == 4 else names), "T1": "ax t1", "t2": "ax t2 fs"}
        if number == 3:
            del series["post_4"]
        for place, (phase, description) in enumerate(series.items(), start=20):
            if mapping and number == 1 and phase != "t2":
                description = f"series {place}"
            folder = mr_series(
                study / f"{place}.000000-{description.replace('/', '')}-4150{place}",
                patient=patient,
                description=description,
                time=60 * place,
                **turned,
            )
            for slice_ in range(1, 7) if phase != "t2" else ():
                spelled = f"{folder.name}/1-{slice_:03d}.dcm"
                lines.append(
                    f"DICOM_Images/{patient}/{phase}/{patient}_{phase}_{slice_:03d}.dcm,Duke-Breast-Cancer-MRI/{patient}/1.2.{number}/1.3.{place}/1-{slice_:02d}.dcm,"
                    f"Duke-Breast-Cancer-MRI/BreastMRI{number:03d}/01-01-1990-NA-MRI BREAST BILATERAL W & W/O-97538//{spelled}"
                )
        mr_series(
            study / "300.000000-Segmentation-1",
            patient=patient,
            description="Segmentation",
            time=0,
            slices=1,
            Modality="SEG",
            SOPClassUID=SEGMENTATION,
        )
    boxes = [[f"Breast_MRI_{number:03d}", 11, 20, 5, 30, 2, 3, 2, None] for number in range(1, 5)]
    columns = ["Patient ID", "Start Row", "End Row", "Start Column", "End Column", "Start Slice", "End Slice", "Num_Slice", "Shaper"]
    pd.DataFrame(boxes, columns=columns).to_excel(root / "Annotation_Boxes.xlsx", index=False)
    if mapping:
        table = root / f"Breast-Cancer-MRI-filepath_filename-mapping.{mapping}"
        if mapping == "csv":
            table.write_text("\n".join(lines) + "\n")
        else:
            pd.DataFrame([line.split(",") for line in lines[1:]], columns=lines[0].split(",")).to_excel(table, index=False)


SEGMENTATION = "1.2.840.10008.5.1.4.1.1.66.4"
T1_NAMES = ("t1 dyn pre", "t1 dyn post 1", "t1 dyn post 2", "t1 dyn post 3", "t1 dyn post 4")


def breast_mr(root: Path) -> None:
    """a: a series a phase, and a box; b: all T1 phases in one series, told by TemporalPositionIdentifier, and a DICOM Segmentation beside one that no lesion
    names; c: one series told by time, and a NIfTI mask; d: no lesion, and series that no patch is made of."""
    for patient, clock in (("a", ""), ("b", "TemporalPositionIdentifier"), ("c", "time"), ("d", "")):
        mr_series(root / patient / "t2", patient=patient, description="T2 TSE tra", time=5, slices=4, origin=(-30, -30, -1), Rows=64)
        for phase, description in enumerate(T1_NAMES):
            if clock:
                tags = {clock: phase + 1} if clock != "time" else {}
                mr_series(
                    root / patient / f"dyn{phase}",
                    patient=patient,
                    description="t1_fl3d_dyn 1+4",
                    time=100 if tags else 100 + 70 * phase,
                    first=1 + 6 * phase,
                    SeriesInstanceUID=generate_uid(entropy_srcs=[patient, "dyn"]),
                    **tags,
                )
            else:
                mr_series(root / patient / f"dyn{phase}", patient=patient, description=description, time=100 + 70 * phase)
    for name in ("seg", "other"):
        # a study of its own, as what is drawn later often is
        mr_series(root / "b" / name, patient="b", study="2", description="lesions", time=900, slices=1, Modality="SEG", SOPClassUID=SEGMENTATION)
    mr_series(root / "d" / "sub", patient="d", description="t1 dyn post 1 SUB", time=171)
    mr_series(root / "d" / "loc", patient="d", description="3 plane loc", time=1, slices=3)
    mr_series(root / "d" / "ct", patient="d", description="t2", time=1, slices=1, Modality="CT", SOPClassUID="1.2.840.10008.5.1.4.1.1.2")
    (root / "c.nii.gz").write_bytes(b"")
    (root / "lesions.csv").write_text(
        "patient,study,lesion,label,mask,mask_value,start_row,end_row,start_column,end_column,start_slice,end_slice\n"
        "a,,L1,benign,,,1,10,2,20,3,3\nb,,L1,malignant,b/seg/1-001.dcm,1,,,,,,\nb,,L2,Benign,b/seg/1-001.dcm,2,,,,,,\n"
        "c,,x,M,c.nii.gz,,,,,,,\nd,,,,,,,,,,,\n"
    )
