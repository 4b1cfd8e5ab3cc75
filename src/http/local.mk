libpail_la_SOURCES += \
	src/http/answer.c src/http/answer.h \
	src/http/curlerr.c \
	src/http/http.c src/http/http.h src/http/internal.h \
	src/http/multi.c \
	src/http/rate.c \
	src/http/xfer.c
