libpail_la_SOURCES += \
	src/loop/fileio.c src/loop/fileio.h src/loop/fileio_impl.h \
	src/loop/fileio_uring.c \
	src/loop/fileio_workers.c \
	src/loop/heap.c src/loop/heap.h \
	src/loop/loop.c src/loop/loop.h \
	src/loop/prompt.c \
	src/loop/signal.c \
	src/loop/work.c src/loop/work.h
