libpail_la_SOURCES += \
	src/raw/crc.c src/raw/crc.h \
	src/raw/ec.c src/raw/ec.h \
	src/raw/geom.c src/raw/geom.h
