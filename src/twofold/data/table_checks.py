"""What tables and parquet files may hold: the part of the table of findings on them."""

TABLE_CHECKS = {  # code -> severity, title, meaning, fix
    "TF020": (
        "info",
        "How the table was read",
        "The table is not UTF-8 with commas, so its encoding or separator was inferred from its content.",
        "Look at the names of the classes above: if letters are wrong, save the table as UTF-8.",
    ),
    "TF021": (
        "warning",
        "Lines whose file is missing",
        "Some lines of the table name a file that is not there, also after trying other spellings. They take no part.",
        "Correct the lines or add the files.",
    ),
    "TF022": (
        "info",
        "Paths that were completed",
        "Some cells of the table are not paths as they stand (an id, a name without extension or folder, backslashes). "
        "Each was matched with the one file that fits.",
        "Nothing.",
    ),
    "TF023": (
        "info",
        "One-hot columns",
        "The table has no column of labels but columns of zeros and ones, of which each line has at most a single one. "
        "The label of a line is the name of that column.",
        "Name the column of labels by --label-column, if this is wrong.",
    ),
    "TF024": (
        "warning",
        "A column that may be a group",
        "The table has a column such as patient or slide, by which images may belong together, and it is not used: "
        "images of one patient may come to lie in train and in test, and accuracy be too high.",
        "Give --group-column with its name, so that cuts never divide a group.",
    ),
    "TF025": (
        "warning",
        "A column of splits that names none",
        "The column that should name splits holds numbers or other words, or is called is_train and the like. Which "
        "images are the test split cannot be told, so it is not used.",
        "Write train, validation and test into the column.",
    ),
    "TF026": (
        "warning",
        "Several labels for one image",
        "The table has columns of zeros and ones of which some lines have several ones. An image has one label here, "
        "so none is used.",
        "Give --label-column with the column of one label an image.",
    ),
    "TF027": (
        "info",
        "A table without labels",
        "No column of the table has one of the usual names of labels, so the images have none.",
        "Name the column of labels by --label-column, if there is one.",
    ),
    "TF028": (
        "info",
        "Labels from a table of metadata",
        "The folders name no classes, and next to the images lies a metadata.csv or metadata.jsonl, as Hugging Face's "
        "imagefolder has it. Labels and groups come from it.",
        "Nothing. For other columns give the table itself, with --label-column.",
    ),
    "TF029": (
        "info",
        "Images next to parquet files",
        "The folder holds parquet files with images and a few images of its own, such as a logo. Only the parquet "
        "files are read.",
        "Give the folder of the images, if these were meant.",
    ),
}
