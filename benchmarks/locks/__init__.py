"""Data locks: one YAML file per benchmark with sources, revisions, hashes and licences."""
