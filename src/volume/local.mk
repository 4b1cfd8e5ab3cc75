libpail_la_SOURCES += \
	src/volume/diskcache.c \
	src/volume/internal.h \
	src/volume/io.c \
	src/volume/journal.c \
	src/volume/open.c \
	src/volume/unsent.c \
	src/volume/volume.h \
	src/volume/wait.c
