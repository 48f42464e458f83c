"""What can be decided about pixels, and be wrong with them: the part of the table of findings on decoding."""

PIXEL_CHECKS = {  # code -> severity, title, meaning, fix
    "TF060": (
        "info",
        "Colours converted to sRGB",
        "Some files say, by a profile or by numbers in their header, that their colours are not those of sRGB, as "
        "many phones do. They were converted.",
        "Nothing.",
    ),
    "TF061": (
        "warning",
        "Colours that are not known",
        "The colour profile in some files is damaged or belongs to images of another kind, or a file says that its "
        "colours are not those of sRGB, but not which ones, or some that are not known here. They are read as sRGB.",
        "Save the images again in sRGB, if their colours matter.",
    ),
    "TF062": (
        "info",
        "CMYK without a profile",
        "What the inks of some images look like is not said, so they were converted by (255 - ink)(255 - black) / 255.",
        "Export them as RGB, if their colours matter.",
    ),
    "TF063": (
        "info",
        "Transparency laid over white",
        "Some images have transparent pixels. Twofold has no fourth channel, so they lie on white.",
        "Flatten the images yourself for another background.",
    ),
    "TF064": (
        "info",
        "Further bands left out",
        "Some files hold bands beyond grey or red, green and blue, such as near-infrared; a band counts as "
        "transparency only where the file says so and most of its values are 0 or the largest one.",
        "Nothing; or read them too: all with --channels and their number, some of them with --bands 4 3 2.",
    ),
    "TF065": (
        "info",
        "Previews of RAW files",
        "Of a camera's RAW files the preview is read that the camera put in.",
        "Develop the files to JPEG or TIFF, if the preview is not good enough.",
    ),
    "TF066": (
        "warning",
        "JPEG files that end early",
        "Some JPEG files are cut off. The rows that are there are read as a lower image.",
        "Copy the files again; with --truncated skip they are left out.",
    ),
    "TF067": (
        "warning",
        "Pixels without a number",
        "Some images have pixels that are NaN, infinite or nodata (by a tag of a TIFF or DICOM file). They are "
        "black, and no range is measured on them. In numbers of 8 bits all bands of a pixel have to be nodata.",
        "Nothing, or fill them before.",
    ),
    "TF068": (
        "info",
        "Intensities scaled to 8 bits",
        "Images of more than 8 bits are scaled: what is at most the low end of the range becomes black, at least the "
        "high end white. The range is kept in the run and applied again to all images that its encoder sees.",
        "Choose another range with --range, or how it is found with --range-from.",
    ),
    "TF069": (
        "info",
        "Profiles of deep grey images",
        "Some grey or floating-point images of more than 8 bits hold a colour profile. Their numbers are scaled by one "
        "range for all images, so the profile is not applied.",
        "Convert the images to sRGB of 8 bits, if they are photographs and not measurements.",
    ),
    "TF071": (
        "info",
        "Further frames or pages",
        "Some files hold several frames or pages: an animation, a stack, channels one after the other. The first is "
        "read.",
        "Read each as an image of its own with --pages images; or the pages of a TIFF as channels, with --pages "
        "channels and --channels.",
    ),
    "TF072": (
        "info",
        "Pages as channels",
        "With --pages channels each page of a TIFF file is a channel of one image, in the order of the pages.",
        "Nothing. Without that flag the first page is the image.",
    ),
    "TF073": (
        "warning",
        "High dynamic range",
        "Some files hold light beyond white (PQ or HLG), as some phones and cameras save it. It is not brought to the "
        "range of sRGB, so these images look pale, unless a profile in the file says how.",
        "Export the images in sRGB, if others of the data are in sRGB.",
    ),
    "TF074": (
        "info",
        "Pages as images of their own",
        "With --pages images each page of a TIFF file, and each frame of an animation or a DICOM file, is an image of "
        "its own. The pages of a file are one group, unless groups are given: no cut of a test split divides them.",
        "Nothing. Without that flag the first page is the image.",
    ),
    "TF075": (
        "info",
        "Images with nothing but nodata",
        "Every pixel of some images is nodata or not a number. They are set aside with the unreadable files and "
        "do not count towards --max-unreadable-fraction.",
        "Nothing.",
    ),
}
