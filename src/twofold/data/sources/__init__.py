"""Where images come from: a folder, a manifest, a parquet file, a data set by its name."""
