libpail_la_SOURCES += src/volume/volume.h
