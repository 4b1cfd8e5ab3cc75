libpail_la_SOURCES += \
	src/raw/alloc.c src/raw/alloc.h \
	src/raw/crc.c src/raw/crc.h \
	src/raw/ec.c src/raw/ec.h \
	src/raw/format.c src/raw/format.h \
	src/raw/geom.c src/raw/geom.h \
	src/raw/index.c src/raw/index.h \
	src/raw/rdev.c src/raw/rdev.h \
	src/raw/rdev_file.c
