# see docs/testing.md
