"""One file per optional extra, named like it."""
