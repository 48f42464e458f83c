"""The kinds of finding that `twofold clean` has: severity, title, meaning, fix, by code."""

CURATION_CHECKS = {
    "TF080": (
        "warning",
        "Copies that were changed a little",
        "Some images have the content of another one: re-saved, resized, mirrored or slightly cropped.",
        "Look at them in clean.html. keep.csv keeps one of each group.",
    ),
    "TF081": (
        "warning",
        "Test images with a copy in train",
        "Some test images have a copy in train, the same or changed a little. Accuracy there may show memory.",
        "Remove one of the two.",
    ),
    "TF082": (
        "warning",
        "Images that look cut off",
        "The lower part of some images is the even grey that a decoder puts where a file ends early.",
        "Get the whole files, or remove them.",
    ),
    "TF083": (
        "info",
        "Images far from all others",
        "The embeddings of some images are unlike all others. They may be off topic, or rare and valuable.",
        "Look at them in clean.html.",
    ),
    "TF084": (
        "warning",
        "Suspect labels",
        "A classifier that did not see the label of an image is confident of another class.",
        "Look at them in clean.html and correct the labels that are wrong.",
    ),
    "TF085": (
        "info",
        "Images that an encoder takes for the same",
        "The embeddings of some images are nearly equal, as in series of one scene.",
        "Nothing, or keep one of each series.",
    ),
    "TF086": (
        "info",
        "Labels that are unlikely, not judged",
        "A classifier that did not see the label of an image prefers another class, but is often wrong itself.",
        "Look at the first ones in clean.html; train longer for a verdict.",
    ),
}
