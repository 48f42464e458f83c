"""What was decided about somebody's images, and what is wrong with them: each kind has a code, once, here.

`docs/checks.md` is written from this table.
"""

from dataclasses import dataclass

from twofold.data.curation_checks import CURATION_CHECKS
from twofold.data.pixel_checks import PIXEL_CHECKS
from twofold.data.table_checks import TABLE_CHECKS

SEVERITIES = ("info", "warning", "error")


@dataclass(frozen=True, slots=True)
class Check:
    """One kind of finding: what it means and what to do."""

    severity: str  # info: a decision that is worth knowing; warning: figures may suffer; error: the data cannot be used
    title: str
    meaning: str
    fix: str


@dataclass(frozen=True, slots=True)
class Finding:
    """One finding about some data: its code and a sentence with the names and numbers."""

    code: str
    text: str

    @property
    def check(self) -> Check:
        """The kind of finding."""
        return CHECKS[self.code]

    @property
    def severity(self) -> str:
        """info, warning or error."""
        return self.check.severity

    def to_dict(self) -> dict[str, str]:
        """Plain values, ready for JSON."""
        return {"code": self.code, "severity": self.severity, "text": self.text, "fix": self.check.fix}


CHECKS = {
    "TF001": Check(
        "info",
        "A test split was cut off",
        "The data have labels and no test split, so a share of the labelled training images, of each class, was set "
        "apart by the data seed. Pretraining does not read them. With fewer than 1,000 labelled images, evaluation "
        "cross-validates on all of them instead, since a fifth of so few tells little.",
        "Nothing. For a test split of your own use a folder test/ or a column split; --test-fraction sets the share.",
    ),
    "TF002": Check(
        "info",
        "The validation images are the test split",
        "The data have labelled validation images and no labelled test images, so accuracy is counted on validation.",
        "Nothing. Do not choose settings by this accuracy and report it too.",
    ),
    "TF003": Check(
        "info",
        "Test images without labels",
        "The test split has images and none of them has a label. They are not trained on and not counted; the labels "
        "of the other splits stand as they are.",
        "Nothing, or add the labels of the test images.",
    ),
    "TF004": Check(
        "info",
        "Images outside the folders of classes or splits",
        "Some images lie next to the folders that are read as classes or splits. They are trained on without a label.",
        "Move them into a class, a split or out of the folder, if they should not be trained on.",
    ),
    "TF005": Check(
        "warning",
        "Folders next to the splits that are not splits",
        "Next to folders such as train/ and test/ lie others whose names are not splits. Their images are trained on; "
        "they have a label only where they lie in a folder of a class that the splits have too.",
        "Move the folders elsewhere, if they should not be trained on, or rename them to train, validation or test.",
    ),
    "TF006": Check(
        "warning",
        "Top folders that hold the same sub-folders",
        "The folders on top hold the same sub-folders, so the sub-folders are read as classes and the folders on top "
        "as parts of the data. A part whose name is not a split is trained on.",
        "If the folders on top are the classes, give a table with the columns path and label.",
    ),
    "TF007": Check(
        "info",
        "Some images have no label",
        "Training reads all images. Evaluation reads those that have a label.",
        "Nothing.",
    ),
    "TF008": Check(
        "warning",
        "Class names that differ by case or blanks alone",
        "Two classes have names such as 'Cat' and 'cat ', or 1 and 01. They count as two classes.",
        "Rename one of them, if they mean the same.",
    ),
    "TF009": Check(
        "info",
        "A word that is read as no label",
        "An empty cell, nan, None, NULL, N/A, unlabelled and -1 mean that an image has no label, in tables and as "
        "names of folders.",
        "If it is the name of a class, rename the class, for example to 'no-defect'.",
    ),
    "TF010": Check(
        "warning",
        "Images that cannot be read",
        "The folder holds images in formats that are not read here. They take no part.",
        "Convert them to JPEG or PNG, or install the extra that the finding names.",
    ),
    "TF011": Check(
        "info",
        "Other files",
        "The folder holds files that are no images by their name. They take no part.",
        "Nothing.",
    ),
    "TF012": Check(
        "info",
        "Hidden files and thumbnails of the system",
        "Hidden names and the folders that storage devices and desktop systems make for themselves (such as @eaDir and "
        "__MACOSX) are left out.",
        "Nothing. Rename a folder that should be read.",
    ),
    "TF013": Check(
        "info",
        "Links to folders",
        "Links to other folders are followed. One that leads to a folder already read, or to one above, adds nothing.",
        "Remove the links, if what they lead to should not be read.",
    ),
    "TF014": Check(
        "info",
        "A table in the folder is not used",
        "The folder holds images and also a table. Labels come from the folders, not from the table.",
        "Give the table in place of the folder, to use the labels in it.",
    ),
    "TF015": Check(
        "warning",
        "Classes that are not in both train and test",
        "A class that occurs in one of the two splits alone can either not be learnt or not be tested. Evaluation "
        "counts on the classes that both have.",
        "Rename the class where it is misspelt, or add images of it to the other split.",
    ),
    "TF016": Check(
        "info",
        "Folders of a camera are no classes",
        "The folders have names that cameras and phones give (such as 100CANON, DCIM or Pictures), so are no classes.",
        "Nothing, or give a table with the columns path and label.",
    ),
    "TF017": Check(
        "warning",
        "Classes that look like dates",
        "All folders are called after years or days. They are read as classes, although a date is seldom one.",
        "Nothing for pretraining. Before evaluating, sort the images by class or give a table of labels.",
    ),
    "TF018": Check(
        "warning",
        "Classes of a single image",
        "A class of one image cannot be both learnt and tested, so evaluation leaves it out.",
        "Add images of the class, or join it with another.",
    ),
    "TF019": Check(
        "warning",
        "Masks among the images",
        "Folders or files are called as masks (or labels, annotations, ground truth) of the images next to them. "
        "Folders of masks are no classes. The masks are trained on like images.",
        "Give the images alone.",
    ),
    "TF030": Check(
        "info",
        "Images in groups",
        "Images of one group (a patient, a slide, a burst) belong together: cuts, folds and draws take a group whole "
        "or not at all.",
        "Nothing.",
    ),
    "TF031": Check(
        "warning",
        "Test images resemble their neighbours in the list",
        "The nearest training image of many test images is the one before or after it by name, as in bursts, frames "
        "of a video or slices of a scan. A random cut then puts near copies into train and test, and accuracy is too "
        "high. `doctor` compares the pixels, `evaluate` the embeddings.",
        "Give groups: a column group, or --group-by with a pattern for the part of the path that names the group.",
    ),
    "TF032": Check(
        "warning",
        "Groups that stand in train and in test",
        "The splits come with the data, and a group has images in both train and test.",
        "Move each group into one split, or remove the splits and let them be cut by group.",
    ),
    "TF033": Check(
        "warning",
        "Too few groups to cut a test split",
        "All labelled images belong to one group, so that no test split can be cut without dividing it.",
        "Name groups that divide the images further.",
    ),
    "TF034": Check(
        "warning",
        "Labels that look like measured numbers",
        "All labels are numbers, some with fractions, and most occur once. Each number is a class here, so that hardly "
        "any can be both learnt and tested.",
        "Sort the numbers into a few classes, or leave them out: pretraining needs no labels.",
    ),
    "TF035": Check(
        "warning",
        "Sub-folders that may be the classes",
        "Most of the folders that are read as classes hold sub-folders of the same names, as the folders of patients "
        "or sites do.",
        "Nothing, if the folders on top are the classes; else give a table with the columns path and label.",
    ),
    "TF040": Check(
        "warning",
        "Unreadable files",
        "Some files are called images and cannot be decoded. They take no part.",
        "Fix or remove the files that are listed.",
    ),
    "TF041": Check(
        "warning",
        "Exact copies",
        "Some images have the same pixels as another one.",
        "Remove the copies; two in one batch are told apart as if they were different images.",
    ),
    "TF042": Check(
        "warning",
        "Copies in train and test",
        "Some test images are in train too, pixel for pixel. Accuracy there may show memory.",
        "Remove them from one of the two.",
    ),
    "TF043": Check(
        "warning",
        "Copies under two labels",
        "Some images have the same pixels as one with another label.",
        "Look at them and correct the labels.",
    ),
    "TF044": Check(
        "warning",
        "Blank images",
        "All pixels of some images have one value. Two views of them tell nothing.",
        "Remove them, or look at why they are blank.",
    ),
    "TF045": Check(
        "warning",
        "Few images",
        "Contrast needs many different images; below some hundreds an encoder learns little.",
        "Add images, with labels or without.",
    ),
    "TF046": Check(
        "warning",
        "Shards that are missing",
        "The names of the parquet files say how many there are, and some are not there.",
        "Download the missing ones.",
    ),
    "TF047": Check(
        "info",
        "Labels from files next to the images",
        "In a tar of WebDataset a .cls, .label or .json file of an image's own name may give its label.",
        "Nothing. To take the labels from folders instead, leave those files out.",
    ),
    "TF048": Check(
        "info",
        "An archive that is compressed as a whole",
        "A .tar.gz can only be unpacked from its beginning. It is read through once, in memory; the decompressor's "
        "state is kept every few megabytes, so that each later image costs the unpacking of the few before it.",
        "Nothing. A .tar or .zip of the same images is read faster, and JPEG and PNG take as much space there.",
    ),
    "TF049": Check(
        "info",
        "Large images cut into tiles",
        "With --tile each image that is larger than a tile becomes several, and its tiles are one group: no cut of a "
        "test split divides them. Tiles that are mostly black, bright grey or without data are left out.",
        "Nothing; --tile-content 0 keeps all tiles.",
    ),
    "TF050": Check(
        "info",
        "Grey images for an encoder of colour",
        "The encoder was trained with three channels and these images are grey: the one channel is copied to all.",
        "Nothing.",
    ),
    "TF051": Check(
        "info",
        "Data at an address",
        "Single images at addresses are not asked for again: one that is kept counts as unchanged. An archive or a "
        "parquet file is read by ranges, and counts as changed when its tag, time or size is another. A server that "
        "gives no ranges sends the whole file, of up to 256 MiB, which is held in memory.",
        "Nothing. To read images again that changed at the same address, give another --cache.",
    ),
    "TF070": Check(
        "warning",
        "Labels of a data set that name no class",
        "The data are an object in Python, and its labels are no whole numbers, texts or None, but for example boxes "
        "or captions. The images are used, without labels.",
        "For labels, give a data set whose second part is the class of the image.",
    ),
} | {code: Check(*told) for code, told in (TABLE_CHECKS | PIXEL_CHECKS | CURATION_CHECKS).items()}
