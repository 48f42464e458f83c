"""Made-up folders, tables and parquet files as people have them, and what each of them means.

A case makes its files and says for each image the label, the split and the group that a person would read off them, and
which findings are due; or it says which error. Images are 4 x 4 pixels.
"""

import io
import json
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

Truth = dict[str, tuple[str | None, str, str | None]]  # path -> label, split, group


@dataclass(frozen=True)
class Case:
    """An input: `make` writes it into an empty folder and returns what a person would give as data."""

    name: str
    make: Callable[[Path], Path | str]
    truth: Truth = field(default_factory=dict)
    codes: frozenset[str] = frozenset()
    error: str = ""  # a regular expression; "": none
    settings: dict[str, str] = field(default_factory=dict)  # of the data recipe


@cache
def png(number: int) -> bytes:
    """A file whose pixels are those of no other number below 65,536."""
    box = io.BytesIO()
    Image.new("RGB", (4, 4), (number % 256, number // 256, 90)).save(box, "PNG")
    return box.getvalue()


def put(root: Path, path: str, content: bytes | str) -> None:
    (root / path).parent.mkdir(parents=True, exist_ok=True)
    (root / path).write_bytes(content.encode() if isinstance(content, str) else content)


Row = tuple[str, int, str | None, str]  # folder, images in it, their label, their split


def folder(
    name: str,
    *rows: Row,
    codes: str = "",
    beside: dict[str, bytes | str] | None = None,
    links: dict[str, str] | None = None,
) -> Case:
    """A folder of images; `beside` are further files, `links` further links (from -> to, below the folder)."""
    truth: Truth = {}
    for home, count, label, split in rows:
        for number in range(count):
            truth[f"{home}/{number}.png".lstrip("/")] = (label, split, None)

    def make(root: Path) -> Path:
        for number, path in enumerate(truth):
            put(root, f"data/{path}", png(number))
        for path, content in (beside or {}).items():
            put(root, f"data/{path}", content)
        for place, target in (links or {}).items():
            (root / "data" / place).symlink_to(root / "data" / target)
        return root / "data"

    return Case(name, make, truth, frozenset(codes.split()))


def classes(home: str, split: str = "train", count: int = 2) -> list[Row]:
    """cat/ and dog/ below a folder."""
    return [(f"{home}/{label}".lstrip("/"), count, label, split) for label in ("cat", "dog")]


PLAIN = [
    folder("classes", *classes("")),
    folder("classes in deep folders", ("cat/a/b", 2, "cat", "train"), ("dog/c", 2, "dog", "train")),
    folder("no folders", ("", 3, None, "train")),
    folder("one folder", ("holiday", 3, None, "train")),
    folder("digits", *((str(n), 2, str(n), "train") for n in range(10))),
    folder("bus and train", ("bus", 2, "bus", "train"), ("train", 2, "train", "train"), ("tram", 2, "tram", "train")),
    folder("more of the classes in a folder beside them", *classes(""), *classes("augmented"), codes="TF006"),
    folder(
        "more of the classes in a folder of a split",
        *classes("train"),
        *classes("train/augmented"),
        *classes("test", "test"),
        codes="TF006",
    ),
    folder("a class with a folder called as another", *classes(""), ("pets/cat", 2, "pets", "train")),
    folder(
        "a class called nan, and another like it",
        ("nan", 2, None, "train"),
        ("naan", 2, None, "train"),
        codes="TF009",
    ),
    folder(
        "patients of whom one lacks a class",
        *((f"p{n}/{label}", 2, f"p{n}", "train") for n in (1, 2, 3) for label in "01" if f"{n}{label}" != "31"),
        codes="TF035",
    ),
    folder(
        "sides that hold the same sub-folders",
        *(
            (f"{home}/{side}/{label}", 1, side, home)
            for home in ("train", "test")
            for side in ("left", "right")
            for label in ("a", "b")
        ),
        codes="TF035",
    ),
    folder(
        "classes of the same two sub-folders",
        *((f"train/{c}/{s}", 1, c, "train") for c in "ab" for s in ("x", "y")),
        *((f"test/{c}/{s}", 1, c, "test") for c in "ab" for s in ("2019", "2020")),
        codes="TF035",
    ),
    folder("trains alone", *((f"{n}_train", 2, f"{n}_train", "train") for n in ("bullet", "steam"))),
    folder("things that end like splits", *((n, 2, n, "train") for n in ("crash_test", "taste_test", "bench"))),
    folder("a class for what tests things", *((n, 2, n, "train") for n in ("test_tube", "beaker", "funnel"))),
]

SPLITS = (
    [
        folder(f"splits {train} {test}", *classes(train), *classes(test, "test"))
        for train, test in (
            ("train", "test"),
            ("Training", "Testing"),
            ("TRAIN", "TEST"),
            ("train_set", "test_set"),
            ("training-set", "test-set"),
            ("seg_train", "seg_test"),
            ("flowers_train", "flowers_test"),
            ("train_images", "test_images"),
            ("TrainImages", "TestImages"),
            ("train1", "test1"),
            ("train2017", "test2017"),
            ("train_val", "test"),
            ("Trainingsdaten", "Testdaten"),
            ("entraînement", "test"),
            (unicodedata.normalize("NFD", "entraînement"), "Test"),
            ("entrenamiento", "prueba"),
            ("Treino", "Teste"),
            ("01_train", "02_test"),
            ("train-clean", "test-noisy"),
            ("images/train", "images/test"),
            ("archive/train", "archive/test"),
            ("archive/Data Set v2/train", "archive/Data Set v2/test"),
            ("seg_train/seg_train", "seg_test/seg_test"),
            ("train/train", "test/test"),
            ("train/images", "test/images"),
            ("archive/seg_train/seg_train", "archive/seg_test/seg_test"),
        )
    ]
    + [
        folder(f"validation {name}", *classes("train"), *classes(name, "validation"), *classes("test", "test"))
        for name in ("val", "valid", "validation", "dev", "eval", "Val_Set", "val2017", "Validierung", "validación")
    ]
    + [
        folder("train and val alone", *classes("train"), *classes("val", "test"), codes="TF002"),
        folder("train alone", *classes("train")),
        folder(
            "splits below classes",
            *((f"{label}/{split}", 2, label, split) for label in ("cat", "dog") for split in ("train", "test")),
        ),
        folder(
            "splits below parts",
            *(
                (f"{part}/{split}/{label}", 2, label, split)
                for part in ("north", "south")
                for split in ("train", "test")
                for label in ("cat", "dog")
            ),
            codes="TF006",
        ),
        folder("parts that are called nothing", *classes("part_a"), *classes("part_b"), codes="TF006"),
        folder("a part called train, one called nothing", *classes("train"), *classes("holdout"), codes="TF006"),
        folder(
            "classes by year",
            *((f"{label}/{year}", 1, label, "train") for label in ("cat", "dog") for year in ("2019", "2020")),
        ),
        folder(
            "classes with masks",
            *((f"{label}/{kind}", 1, label, "train") for label in ("cat", "dog") for kind in ("images", "masks")),
        ),
        *(
            folder(
                f"classes and splits in one name: {name.format('cat', 'train')}",
                *(
                    (name.format(label, split), 2, label, split)
                    for label in ("cat", "dog")
                    for split in ("train", "test")
                ),
            )
            for name in ("{0}_{1}", "{1}-{0}")
        ),
        folder(
            "parts with a folder around their classes",
            *(
                (f"{part}/images/{label}", 2, label, "train")
                for part in ("amazon", "dslr")
                for label in ("bike", "mug")
            ),
            codes="TF006",
        ),
        folder(
            "the splits once more in a folder beside them",
            *(
                (f"chest_xray/{home}{folder_}/{label}", 2, label, split)
                for home in ("", "chest_xray/")
                for folder_, split in (("train", "train"), ("val", "validation"), ("test", "test"))
                for label in ("NORMAL", "PNEUMONIA")
            ),
            codes="TF006",
        ),
        folder("a French word for train", *classes("apprentissage"), *classes("test", "test")),
        folder("splits without classes", ("train", 3, None, "train"), ("test", 2, None, "test")),
    ]
)

PARTLY = [
    folder("unlabelled test", *classes("train"), ("test", 3, None, "test"), codes="TF003"),
    folder(
        "unlabelled test1, as on Kaggle",
        *classes("input/train/train"),
        ("input/test1/test1", 3, None, "test"),
        codes="TF003 TF011 TF014",
        beside={"input/sample_submission.csv": "id,label\n1,0\n"},
    ),
    folder(
        "unlabelled test, labelled val",
        *classes("train"),
        *classes("val", "test"),
        ("test", 3, None, "test"),
        codes="TF002 TF003",
    ),
    folder(
        "seg_pred",
        *classes("seg_train/seg_train"),
        *classes("seg_test/seg_test", "test"),
        ("seg_pred/seg_pred", 3, None, "train"),
        codes="TF005 TF007",
    ),
    folder(
        "an extra folder with the same classes",
        *classes("train"),
        *classes("test", "test"),
        *classes("extra"),
        codes="TF005",
    ),
    folder("unlabelled beside classes", *classes(""), ("unlabelled", 9, None, "train"), codes="TF007"),
    folder("unlabeled_images beside classes", *classes(""), ("Unlabeled_images", 9, None, "train"), codes="TF007"),
    folder(
        "unlabelled beside splits",
        *classes("train"),
        *classes("test", "test"),
        ("unlabeled", 4, None, "train"),
        codes="TF007",
    ),
    folder(
        "unlabelled in train",
        *classes("train"),
        ("train/unlabelled", 4, None, "train"),
        *classes("test", "test"),
        codes="TF007",
    ),
    folder("labelled and unlabelled", *classes("labelled"), ("unlabelled", 5, None, "train"), codes="TF007"),
    folder(
        "splits in a folder of labelled images",
        *classes("Labeled/train"),
        *classes("Labeled/test", "test"),
        ("Unlabeled", 5, None, "train"),
        codes="TF007",
    ),
    folder("loose images beside classes", *classes(""), ("", 8, None, "train"), codes="TF004 TF007"),
    folder(
        "images beside masks",
        ("VOC2007/JPEGImages", 3, None, "train"),
        ("VOC2007/SegmentationClass", 2, None, "train"),
        codes="TF019",
    ),
    folder("a class of masks", ("mask", 2, "mask", "train"), ("no_mask", 2, "no_mask", "train")),
    folder(
        "masks beside splits",
        ("bottle/train/good", 3, "good", "train"),
        ("bottle/test/good", 2, "good", "test"),
        ("bottle/test/broken", 2, "broken", "test"),
        ("bottle/ground_truth/broken", 2, None, "train"),
        codes="TF005 TF007 TF015",
    ),
    folder(
        "splits below one class of two",
        ("cat/train", 2, "cat", "train"),
        ("cat/test", 2, "cat", "test"),
        ("dog", 3, "dog", "train"),
        codes="TF005 TF015",
    ),
    folder("a class called None", *classes(""), ("None", 2, None, "train"), codes="TF007 TF009"),
    folder("a class called -1", *classes(""), ("-1", 2, None, "train"), codes="TF007 TF009"),
    folder("one class and unlabelled", ("defect", 3, None, "train"), ("unlabelled", 3, None, "train")),
]

STRAYS = [
    folder("one loose image beside classes", *classes("", count=9), ("", 1, None, "train"), codes="TF004 TF007"),
    folder(
        "one loose image beside splits",
        *classes("train"),
        *classes("test", "test"),
        ("", 1, None, "train"),
        codes="TF004 TF007",
    ),
    folder(
        "one loose image beside a wrapping folder",
        *classes("archive/train", count=6),
        *classes("archive/test", "test", 6),
        ("", 1, None, "train"),
        codes="TF004 TF007",
    ),
    folder(
        "one loose image in train",
        *classes("train"),
        ("train", 1, None, "train"),
        *classes("test", "test"),
        codes="TF007",
    ),
    folder("a read-me", *classes(""), beside={"README.md": "hello", "LICENSE": "free"}, codes="TF011"),
    folder("a table in the folder", *classes(""), beside={"labels.csv": "a,b\n"}, codes="TF011 TF014"),
    folder("hidden files", *classes(""), beside={".DS_Store": "", "._x.png": "", ".git/x.png": ""}, codes="TF012"),
    folder(
        "thumbnails of a NAS", *classes(""), beside={"cat/@eaDir/0.png/SYNOPHOTO_THUMB_M.jpg": png(9)}, codes="TF012"
    ),
    folder("thumbnails of Windows", *classes(""), beside={"cat/Thumbs.db": "x", "cat/desktop.ini": "x"}, codes="TF012"),
    folder(
        "an archive from a Mac",
        *classes("data/train"),
        *classes("data/test", "test"),
        beside={"__MACOSX/data/._train": "x", "__MACOSX/data/train/cat/0.png": png(9)},
        codes="TF012",
    ),
    folder(
        "a recycle bin", *classes(""), beside={"#recycle/x.png": png(8), "$RECYCLE.BIN/y.png": png(9)}, codes="TF012"
    ),
    folder("a link to itself", *classes(""), links={"cat/round": "cat/round", "loop.txt": "loop.txt"}, codes="TF011"),
    folder("a link to the folder above", *classes(""), links={"cat/up": "", "loop": "cat"}, codes="TF013"),
    folder(
        "a phone",
        ("DCIM/100APPLE", 3, None, "train"),
        ("DCIM/101APPLE", 3, None, "train"),
        beside={
            "DCIM/100APPLE/IMG_1.HEIC": "x",
            "DCIM/100APPLE/IMG_2.DNG": "x",
            "DCIM/100APPLE/IMG_3.MOV": "x",
            "DCIM/100APPLE/IMG_4.AAE": "x",
        },
        codes="TF010 TF011 TF016",
    ),
    folder(
        "the folders of a phone",
        ("DCIM/Camera", 3, None, "train"),
        ("Pictures/Screenshots", 2, None, "train"),
        ("Download", 1, None, "train"),
        codes="TF016",
    ),
    folder(
        "a phone's folders with the same sub-folders",
        *((f"{top}/{below}", 2, None, "train") for top in ("DCIM", "Pictures") for below in ("Camera", "Screenshots")),
        codes="TF016",
    ),
    folder(
        "below DCIM",
        ("DCIM/Camera", 3, None, "train"),
        ("DCIM/Screenshots", 2, None, "train"),
        codes="TF016",
    ),
    folder(
        "kinds of images, called as folders of a phone",
        *((name, 2, name, "train") for name in ("documents", "photos", "screenshots")),
    ),
    folder("a class that a phone has a folder of", ("camera", 3, "camera", "train"), ("cat", 3, "cat", "train")),
    folder(
        "more kinds than three",
        *classes(""),
        beside={f"x.{end}": "" for end in ("dcm", "nef", "svs", "czi", "xcf")},
        codes="TF010",
    ),
    folder("days", ("2021-05-03", 2, "2021-05-03", "train"), ("2021-06-11", 2, "2021-06-11", "train"), codes="TF017"),
    folder(
        "names that differ by case",
        ("cat", 2, "cat", "train"),
        ("Cat", 2, "Cat", "train"),
        ("dog", 2, "dog", "train"),
        codes="TF008",
    ),
    folder(
        "names that differ by blanks",
        ("red fox", 2, "red fox", "train"),
        ("red_fox", 2, "red_fox", "train"),
        codes="TF008",
    ),
    folder("numbers with and without zeros", ("1", 2, "1", "train"), ("01", 2, "01", "train"), codes="TF008"),
    folder(
        "accents composed in two ways",
        *((f"train/{name}", 2, name, "train") for name in ("école", "lycée")),
        *((unicodedata.normalize("NFD", f"test/{name}"), 2, name, "test") for name in ("école", "lycée")),
    ),
    folder(
        "a class that test lacks",
        *classes("train"),
        ("train/eel", 2, "eel", "train"),
        *classes("test", "test"),
        codes="TF015",
    ),
    folder(
        "a class that train lacks",
        *classes("train"),
        ("test/eel", 2, "eel", "test"),
        *classes("test", "test"),
        codes="TF015",
    ),
    folder("a class of a single image", *classes(""), ("eel", 1, "eel", "train"), codes="TF018"),
]


def listed(name: str, labels: dict[str, str | None], tables: dict[str, str], codes: str) -> Case:
    """A folder of images whose labels are in tables below it."""

    def make(root: Path) -> Path:
        for number, path in enumerate(labels):
            put(root, f"data/{path}", png(number))
        for path, text in tables.items():
            put(root, f"data/{path}", text)
        return root / "data"

    truth: Truth = {
        path: (label, "test" if path.startswith("test/") else "train", None) for path, label in labels.items()
    }
    return Case(name, make, truth, frozenset(codes.split()))


MASKS = [
    listed(
        "masks among the images",
        {f"{kind}/{name}": kind for kind in ("benign", "normal") for name in ("1.png", "1_mask.png", "2.png")},
        {},
        "TF019",
    ),
    listed(
        "names that end like masks",
        {f"{kind}/{name}": kind for kind in ("n95_mask", "no_mask") for name in ("boy_mask.png", "girl_mask.png")},
        {},
        "",
    ),
]

METADATA = [
    listed(
        "metadata.csv",
        {"0.png": "cat", "1.png": "dog", "2.png": "cat", "3.png": None, "4.png": "dog"},
        {"metadata.csv": "file_name,label\n0.png,cat\n1.png,dog\n2.png,cat\n3.png,\n4.png,dog\n"},
        "TF007 TF011 TF028",
    ),
    listed(
        "metadata.jsonl in each split",
        {"train/a/0.png": "1", "train/a/1.png": "2", "train/2.png": None, "test/0.png": "1", "test/1.png": "2"},
        {
            "train/metadata.jsonl": '{"file_name": "a/0.png", "label": 1}\n{"file_name": "a/1.png", "label": 2}\n',
            "test/metadata.jsonl": '{"label": 1, "file_name": "0.png"}\n\n{"label": 2, "file_name": "1.png"}\n',
        },
        "TF007 TF011 TF028",
    ),
    listed(
        "metadata without labels",
        {"0.png": None, "1.png": None},
        {"metadata.jsonl": '{"file_name": "0.png", "text": "a cat"}\n'},
        "TF011 TF014",
    ),
    listed(
        "metadata beside classes",
        {"cat/0.png": "cat", "cat/1.png": "cat", "dog/0.png": "dog", "dog/1.png": "dog"},
        {"metadata.csv": "file_name,label\ncat/0.png,9\n"},
        "TF011 TF014",
    ),
]


def empty(root: Path) -> Path:
    (root / "data").mkdir()
    return root / "data"


def only(**files: str) -> Callable[[Path], Path]:
    def make(root: Path) -> Path:
        for name, content in files.items():
            put(root, f"data/{name.replace('_', '.')}", content)
        return root / "data"

    return make


REFUSED_FOLDERS = [
    Case("an empty folder", empty, error="holds no readable image .*it is empty"),
    Case("nothing but HEIC", only(a_heic="x", b_heic="x"), error=r"only 2 x \.heic"),
    Case("nothing but text", only(a_txt="x"), error=r"only 1 x \.txt"),
    Case("nothing", lambda root: root / "gone", error="no folder, table or torchvision data set"),
    Case("an archive", lambda root: only(a_zip="x")(root) / "a.zip", error="cannot be read.*unpacked"),
]


ABC = ["a.png", "b.png", "sub/c.png", "sub/d.png"]
PLAIN_TRUTH: Truth = {
    "a.png": ("cat", "train", None),
    "b.png": ("dog", "train", None),
    "sub/c.png": ("cat", "train", None),
    "sub/d.png": ("dog", "train", None),
}


def table(
    name: str,
    text: str | bytes,
    truth: Truth | None = None,
    *,
    codes: str = "",
    error: str = "",
    files: list[str] | None = None,
    file: str = "list.csv",
    **settings: str,
) -> Case:
    """A table in the folder of its images; {root} in it stands for that folder."""

    def make(root: Path) -> Path:
        for number, path in enumerate(files or ABC):
            put(root, path, png(number))
        put(root, file, text if isinstance(text, bytes) else text.replace("{root}", str(root)))
        return root / file

    return Case(name, make, truth or {}, frozenset(codes.split()), error, settings)


def lines(separator: str, header: str = "path,label") -> str:
    cells = [header.split(","), *([path, label or ""] for path, (label, _, _) in PLAIN_TRUTH.items())]
    return "".join(separator.join(row) + "\n" for row in cells)


def relabelled(*labels: str | None) -> Truth:
    return {path: (label, "train", None) for path, label in zip(ABC, labels, strict=True)}


HALF = relabelled("cat", "dog", "cat", None)
NO_LABELS = ("", "nan", "NaN", "None", "NULL", "N/A", "#N/A", "-1", "unlabelled", "No label")

THREE_SPLITS = (
    ("train", "val", "test"),
    ("Training", "Validation", "Testing"),
    ("TRAIN", "dev", "TEST"),
    ("Training", "PublicVal", "PrivateTest"),
    ("entrenamiento", "validación", "prueba"),
)

TABLES = [
    table("commas", lines(","), PLAIN_TRUTH),
    table("semicolons", lines(";"), PLAIN_TRUTH, codes="TF020"),
    table("tabs", lines("\t"), PLAIN_TRUTH, codes="TF020", file="list.tsv"),
    table("UTF-8 with its mark", lines(",").encode("utf-8-sig"), PLAIN_TRUTH),
    table("UTF-16", lines(",").encode("utf-16"), PLAIN_TRUTH, codes="TF020"),
    table("UTF-16 without its mark", lines(",").encode("utf-16-le"), PLAIN_TRUTH, codes="TF020"),
    table("Windows-1252", lines(",").replace("cat", "Bär").encode("cp1252"), relabelled("Bär", "dog", "Bär", "dog"),
          codes="TF020"),
    table("Excel's line of the separator", "sep=;\n" + lines(";"), PLAIN_TRUTH, codes="TF020"),
    table("comments and empty lines above", "# of the camera\n\n# 2024\n" + lines(","), PLAIN_TRUTH, codes="TF020"),
    table("a title above", "Our pets,\n\n" + lines(","), PLAIN_TRUTH, codes="TF020"),
    table("lines of the old Macintosh", lines(",").replace("\n", "\r"), PLAIN_TRUTH),
    table("empty cells beyond the header", lines(",").replace("cat\n", "cat,, \n"), PLAIN_TRUTH),
    table("a note of two lines", 'path,label,note\na.png,cat,"to\nsee"\nb.png,dog,\nsub/c.png,cat,x\nsub/d.png,dog,\n',
          PLAIN_TRUTH),
    table("columns with blanks in their names", lines(",", "Image Index,Class Name"), PLAIN_TRUTH),
    table("whole numbers with points and without", "path,label\na.png,1.0\nb.png,2\nsub/c.png,1\nsub/d.png,2.0\n",
          relabelled("1", "2", "1", "2")),
    table("labels that are measured", "path,label\na.png,0.51\nb.png,4.1\nsub/c.png,-3\nsub/d.png,2e3\n",
          relabelled("0.51", "4.1", "-3", "2e3"), codes="TF018 TF034"),
    table("lists as labels in lines of JSON",
          '{"path": "a.png", "label": "cat"}\n\n{"path": "b.png", "label": ["dog"]}\n', file="list.jsonl",
          error=r"line 3 .*column 'label', has the label \[\"dog\"\], but .*one label.*--label-column"),
    table("objects as labels in lines of JSON", '{"path": "a.png", "label": {"name": "cat"}}\n',
          error="line 1 .*one label", file="list.jsonl"),
    table("true and false in one-hot columns", "path,cat,DOG \na.png,True,False\nb.png,False,True\nsub/c.png,TRUE,\n",
          {path: truth for path, truth in relabelled("cat", "DOG", "cat", None).items() if path != "sub/d.png"},
          codes="TF018 TF023"),
    table("lines of Windows", lines(",").replace("\n", "\r\n"), PLAIN_TRUTH),
    *(table(f"columns {header}", lines(",", header), PLAIN_TRUTH) for header in (
        "image,label", "file,class", "filename,target", "file_name,labels", "Image_Path,Class", "image_id,category",
        "id,label",
    )),
    table("other columns by flags", lines(",", "where,what"), PLAIN_TRUTH, path_column="where", label_column="What"),
    table("a column that is not there", lines(","), error="--label-column .*unknown column 'wht'", label_column="wht"),
    table("no column of paths", lines(",", "x,y"), error="line 1 .*'x,y'.*--path-column"),
    table("no column of labels", lines(",", "path,breed"), relabelled(None, None, None, None), codes="TF027"),
    *(table(f"no label is {word!r}", f"path,label\na.png,cat\nb.png,dog\nsub/c.png,cat\nsub/d.png,{word}\n", HALF,
            codes="TF007 TF009 TF018" if word else "TF007 TF018") for word in NO_LABELS),
    table("whole numbers beside missing ones", "path,label\na.png,1.0\nb.png,2.0\nsub/c.png,1.0\nsub/d.png,\n",
          relabelled("1", "2", "1", None), codes="TF007 TF018"),
    *(table(f"splits called {train} {val} {test}",
            f"path,label,split\na.png,cat,{train}\nb.png,dog,{train}\nsub/c.png,cat,{val}\nsub/d.png,dog,{test}\n",
            {"a.png": ("cat", "train", None), "b.png": ("dog", "train", None), "sub/c.png": ("cat", "validation", None),
             "sub/d.png": ("dog", "test", None)}, codes="TF015")
      for train, val, test in THREE_SPLITS),
    table("unlabelled as a split", "path,label,split\na.png,cat,train\nb.png,dog,train\nsub/c.png,,unlabeled\n",
          {"a.png": ("cat", "train", None), "b.png": ("dog", "train", None), "sub/c.png": (None, "train", None)},
          codes="TF007 TF018"),
    table("a set that is no split",
          "path,label,set\na.png,cat,duplo\nb.png,dog,lego\nsub/c.png,cat,lego\nsub/d.png,dog,\n", PLAIN_TRUTH,
          codes="TF025"),
    table("is_train", "path,label,is_train\na.png,cat,1\nb.png,dog,1\nsub/c.png,cat,0\nsub/d.png,dog,0\n",
          PLAIN_TRUTH, codes="TF025"),
    table("labels with signs that nobody sees",
          "path,label\na.png,cat\u00a0\nb.png,\u200bdog\nsub/c.png, cat\nsub/d.png,dog\n", PLAIN_TRUTH),
    table("labels of two lines", 'path,label\na.png,"big\ncat"\nb.png,dog\nsub/c.png,big cat\nsub/d.png,dog\n',
          relabelled("big cat", "dog", "big cat", "dog")),
    table("labels with accents composed in two ways",
          "path,label\na.png,e\u0301\nb.png,dog\nsub/c.png,\u00e9\nsub/d.png,dog\n",
          relabelled("\u00e9", "dog", "\u00e9", "dog")),
    table("numbers with zeros and without", "path,label\na.png,01\nb.png,1\nsub/c.png,01\nsub/d.png,1\n",
          relabelled("01", "1", "01", "1"), codes="TF008"),
    table("a split that is none", "path,label,split\na.png,cat,train\nb.png,dog,later\n",
          error="line 3 .*column 'split',.*'later'"),
    table("folds of numbers", "path,label,fold\na.png,cat,0\nb.png,dog,1\nsub/c.png,cat,2\nsub/d.png,dog,0\n",
          PLAIN_TRUTH, codes="TF025"),
    table("groups", "path,label,group\na.png,cat,p1\nb.png,dog,p2\nsub/c.png,cat,\nsub/d.png,dog,p1\n",
          {"a.png": ("cat", "train", "p1"), "b.png": ("dog", "train", "p2"), "sub/c.png": ("cat", "train", None),
           "sub/d.png": ("dog", "train", "p1")}, codes="TF030"),
    table("groups by a flag",
          "path,label,patient\na.png,cat,p1\nb.png,dog,p2\nsub/c.png,cat,p2\nsub/d.png,dog,p1\n",
          {"a.png": ("cat", "train", "p1"), "b.png": ("dog", "train", "p2"), "sub/c.png": ("cat", "train", "p2"),
           "sub/d.png": ("dog", "train", "p1")}, codes="TF030", group_column="patient"),
    table("patients that nobody named", lines(",").replace(",label", ",label,patient").replace("cat", "cat,1"),
          PLAIN_TRUTH, codes="TF024"),
    table("groups from the path", lines(","),
          {path: (label, split, "sub" if "sub" in path else None) for path, (label, split, _) in PLAIN_TRUTH.items()},
          codes="TF030", group_by=r"^(sub)/"),
    table("a pattern that matches nothing", lines(","), error="--group-by '\\^x' matches none", group_by="^x"),
    table("backslashes", lines(",").replace("/", "\\"),
          {path.replace("/", "\\"): truth for path, truth in PLAIN_TRUTH.items()}, codes="TF022"),
    table("a path of another machine", "path,label\nC:\\Users\\me\\sub\\c.png,cat\nb.png,dog\n",
          {"C:\\Users\\me\\sub\\c.png": ("cat", "train", None), "b.png": ("dog", "train", None)},
          codes="TF018 TF022"),
    table("a path of another machine's root", "path,label\n/home/me/pets/sub/c.png,cat\n/b.png,dog\n",
          {"/home/me/pets/sub/c.png": ("cat", "train", None), "/b.png": ("dog", "train", None)}, codes="TF018 TF022"),
    table("paths in capitals", lines(",").replace("sub/c.png", "SUB/C.PNG"),
          {path.replace("sub/c.png", "SUB/C.PNG"): truth for path, truth in PLAIN_TRUTH.items()}, codes="TF022"),
    table("paths with accents composed otherwise", "path,label\n\u00e9.png,cat\nb.png,dog\n",
          {"\u00e9.png": ("cat", "train", None), "b.png": ("dog", "train", None)}, codes="TF018 TF022",
          files=["e\u0301.png", "b.png"]),
    table("ids that lost their zeros", "id,label\n1,cat\n2.0,dog\n",
          {"1": ("cat", "train", None), "2.0": ("dog", "train", None)}, codes="TF018 TF022",
          files=["0001.png", "0002.png"]),
    table("a name that differs by case from two", "path,label\nX.png,cat\nb.png,dog\n",
          {"b.png": ("dog", "train", None)}, codes="TF021 TF040", files=["x.PNG", "sub/x.png", "b.png"]),
    table("without extensions", "path,label\na,cat\nb,dog\nsub/c,cat\nsub/d,dog\n",
          {path.removesuffix(".png"): truth for path, truth in PLAIN_TRUTH.items()}, codes="TF022"),
    table("ids", "image_id,label\na,cat\nb,dog\nc,cat\nd,dog\n",
          {Path(path).stem: truth for path, truth in PLAIN_TRUTH.items()}, codes="TF022"),
    table("an id that two files fit", "id,label\na,cat\nb,dog\nc,cat\n",
          {"a": ("cat", "train", None), "b": ("dog", "train", None)}, codes="TF018 TF021 TF022 TF040",
          files=["a.png", "b.png", "x/c.png", "y/c.png"]),
    table("a missing file", lines(",") + "gone.png,cat\n", PLAIN_TRUTH, codes="TF021 TF040"),
    table("nothing but missing files", "path,label\nx.png,cat\ny.png,dog\n",
          error=r"none of the 2 files .*line 2, column 'path': 'x\.png' \(tried as it stands"),
    table("one-hot", "image,cat,dog\na,1,0\nb,0,1\nc,1.0,0.0\nd,0,1\n",
          {Path(path).stem: truth for path, truth in PLAIN_TRUTH.items()}, codes="TF022 TF023"),
    table("one-hot with no one", "image,cat,dog\na,1,0\nb,0,1\nc,1,0\nd,0,0\n",
          {Path(path).stem: truth for path, truth in HALF.items()}, codes="TF007 TF018 TF022 TF023"),
    table("several ones", "path,cat,dog\na.png,1,1\nb.png,0,1\nsub/c.png,1,0\nsub/d.png,0,1\n",
          relabelled(None, None, None, None), codes="TF026"),
    table("the same line twice", "path\na.png\nb.png\na.png\n", error="line 4 .* repeats the path 'a.png' of line 2"),
    table("two columns of one name", "path,label,label\na.png,cat,x\n", error="has 2 columns 'label'"),
    table("too many cells", "path,label\na.png,cat,x\n", error="line 2 .* 3 cells, but the header has 2"),
    table("an empty path", "path,label\n,cat\n", error="line 2 .* empty path"),
    table("no lines", "path,label\n", error="lists no image"),
    table("an empty file", "", error="line 1"),
    table("absolute paths", "path,label\n{root}/a.png,cat\n{root}/b.png,dog\n", codes="TF018"),
    table("a path outside", "path,label\n/etc/hostname,cat\n", error="--allow-outside"),
]  # fmt: skip


def parquet(
    name: str,
    columns: dict[str, object],
    truth: Truth | None = None,
    *,
    codes: str = "",
    error: str = "",
    features: dict[str, object] | None = None,
    shards: dict[str, slice] | None = None,
    data: str = "data.parquet",
    **settings: str,
) -> Case:
    """A parquet file, or `shards` of it (file -> rows); `data` is what a person gives, below the folder."""

    def make(root: Path) -> Path:
        for number, path in enumerate(ABC):
            put(root, path, png(number)) if "path" in name else None
        whole = pa.table(columns)
        for file, rows in (shards or {"data.parquet": slice(0, len(whole))}).items():
            part = whole.slice(rows.start, rows.stop - rows.start)
            if features:
                part = part.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": features}})})
            (root / file).parent.mkdir(parents=True, exist_ok=True)
            pq.write_table(part, root / file)
        return root / data

    return Case(name, make, truth or {}, frozenset(codes.split()), error, settings)


PNGS = [png(number) for number in range(4)]
CELLS = [{"bytes": content, "path": path} for content, path in zip(PNGS, ABC, strict=True)]
NAMES = {"names": ["cat", "dog"], "_type": "ClassLabel"}


def rows(*labels: str | None, home: str = "row") -> Truth:
    return {f"{home}/{number}": (label, "train", None) for number, label in enumerate(labels)}


PARQUETS = [
    parquet("bytes", {"image": PNGS, "label": ["cat", "dog"] * 2}, rows("cat", "dog", "cat", "dog")),
    parquet("img", {"img": PNGS, "label": ["cat", "dog"] * 2}, rows("cat", "dog", "cat", "dog")),
    parquet("bytes and paths in parquet", {"image": CELLS, "label": ["cat", "dog"] * 2}, PLAIN_TRUTH),
    parquet("paths alone: path", {"path": ABC, "class": ["cat", "dog"] * 2}, PLAIN_TRUTH),
    parquet("class names", {"image": PNGS, "label": [0, 1, 0, -1]}, rows("cat", "dog", "cat", None),
            features={"label": NAMES}, codes="TF007 TF018"),
    parquet("labels", {"image": PNGS, "labels": [0, 1, 0, 1]}, rows("cat", "dog", "cat", "dog"),
            features={"labels": NAMES}),
    parquet("fine_label", {"img": PNGS, "fine_label": [0, 1, 0, 1]}, rows("cat", "dog", "cat", "dog"),
            features={"fine_label": NAMES}),
    parquet("missing numbers", {"image": PNGS, "label": [0, 1, None, 0]}, rows("0", "1", None, "0"),
            codes="TF007 TF018"),
    parquet("words for no label", {"image": PNGS, "label": ["cat", "dog", "N/A", "nan"]},
            rows("cat", "dog", None, None), codes="TF007 TF018"),
    parquet("lists", {"image": PNGS, "label": [[0, 1], [0], [1], []]}, error="row 0 .*one label.*--label-column"),
    parquet("another column by a flag", {"scan": PNGS, "kind": ["cat", "dog"] * 2}, rows("cat", "dog", "cat", "dog"),
            path_column="scan", label_column="kind"),
    parquet("groups in parquet", {"image": PNGS, "group": ["p", "q", "p", "q"], "label": ["cat", "dog"] * 2},
            {path: (label, "train", "pq"[row % 2]) for row, (path, (label, *_)) in
             enumerate(rows("cat", "dog", "cat", "dog").items())}, codes="TF030"),
    parquet("patients in parquet", {"image": PNGS, "label": ["cat", "dog"] * 2, "patient": [1, 2, 3, 4]},
            rows("cat", "dog", "cat", "dog"), codes="TF024"),
    parquet("folds of numbers in parquet", {"image": PNGS, "label": ["cat", "dog"] * 2, "fold": [0, 1, None, 1]},
            rows("cat", "dog", "cat", "dog"), codes="TF025"),
    parquet("labels as bytes", {"image": PNGS, "label": [b"cat", b"dog", None, b""]}, rows("cat", "dog", None, None),
            codes="TF007 TF018"),
    parquet("no images", {"n": [1, 2]}, error="columns n, .*column 'image'"),
    *(parquet(f"shards as {data or 'a folder'}", {"image": CELLS, "label": ["cat", "dog"] * 2},
              {path: (label, "train" if row < 2 else "test", None) for row, (path, (label, *_)) in
               enumerate(PLAIN_TRUTH.items())}, data=data,
              shards={f"data/{split}-00000-of-00001.parquet": part for split, part in
                      (("train", slice(0, 2)), ("test", slice(2, 4)))})
      for data in ("", "data", "data/*.parquet", "**/*.parquet")),
    parquet("a column that is described as images", {"x": CELLS, "kind": [0, 1] * 2}, PLAIN_TRUTH,
            features={"x": {"_type": "Image"}, "kind": NAMES}),
    parquet("no column of labels in parquet", {"image": PNGS, "breed": ["cat", "dog"] * 2},
            rows(None, None, None, None), codes="TF027"),
    parquet("a set that is no split in parquet", {"image": PNGS, "label": ["cat", "dog"] * 2, "set": ["a", "b"] * 2},
            rows("cat", "dog", "cat", "dog"), codes="TF025"),
    parquet("a split that is none in parquet", {"image": PNGS, "split": ["train", "later", "test", None]},
            error="row 1 of .* has the split 'later'"),
    parquet("a shard that is missing", {"image": CELLS, "label": ["cat", "dog"] * 2}, PLAIN_TRUTH, codes="TF046",
            data="data", shards={"data/train-00001-of-00002.parquet": slice(0, 4)}),
    parquet("shards of one split", {"image": CELLS, "label": ["cat", "dog"] * 2}, PLAIN_TRUTH, data="train-*.parquet",
            shards={"train-0.parquet": slice(0, 2), "train-1.parquet": slice(2, 4)}),
    parquet("shards in folders of splits", {"image": PNGS, "label": ["cat", "dog"] * 2},
            {f"{home}/0000.parquet/{row}": (label, home, None) for home in ("train", "test")
             for row, label in enumerate(("cat", "dog"))}, data="",
            shards={f"{split}/0000.parquet": part for split, part in
                    (("train", slice(0, 2)), ("test", slice(2, 4)))}),
    parquet("a pattern of nothing", {"image": PNGS}, data="x-*.parquet", error="names no file"),
]  # fmt: skip


def with_logo(count: int, content: dict[str, object]) -> Callable[[Path], Path]:
    """A parquet file of a set of Hugging Face, with a logo beside it."""

    def make(root: Path) -> Path:
        put(root, "repo/assets/logo.png", png(999))
        (root / "repo" / "data").mkdir()
        pq.write_table(pa.table(content).slice(0, count), root / "repo" / "data" / "train.parquet")
        return root / "repo"

    return make


MANY = {"image": [png(number) for number in range(12)], "label": ["cat", "dog"] * 6}
LOGOS = [
    Case("a logo beside many images in parquet", with_logo(12, MANY), codes=frozenset(["TF029"])),
    Case("an image beside a parquet of numbers", with_logo(12, {"n": list(range(12))}),
         {"assets/logo.png": (None, "train", None)}, frozenset(["TF011", "TF014"])),
]  # fmt: skip

CASES = [*PLAIN, *SPLITS, *PARTLY, *STRAYS, *MASKS, *METADATA, *LOGOS, *REFUSED_FOLDERS, *TABLES, *PARQUETS]
