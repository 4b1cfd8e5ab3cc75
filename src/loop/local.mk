libpail_la_SOURCES += \
	src/loop/fileio.h \
	src/loop/loop.c src/loop/loop.h \
	src/loop/work.h
