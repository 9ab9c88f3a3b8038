"""Names of the files in a folder that `pack` writes, beside those of TFDS."""

MANIFEST = "atelier.json"
PROGRESS = "progress.json"
CONTENT_HASHES, TARGETS = "hashes.npy", "targets.npy"
