# The program: one verb per file.
