libpail_la_SOURCES += src/loop/loop.h src/loop/work.h src/loop/fileio.h
