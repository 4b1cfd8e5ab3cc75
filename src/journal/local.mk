libpail_la_SOURCES += \
	src/journal/append.c \
	src/journal/format.c src/journal/format.h \
	src/journal/internal.h \
	src/journal/journal.c src/journal/journal.h \
	src/journal/look.c \
	src/journal/reread.c \
	src/journal/scan.c \
	src/journal/segread.c src/journal/segread.h \
	src/journal/seal.c src/journal/seal.h \
	src/journal/settled.c \
	src/journal/space.c
