libpail_la_SOURCES += \
	src/raw/alloc.c src/raw/alloc.h \
	src/raw/check.c src/raw/check.h \
	src/raw/crc.c src/raw/crc.h \
	src/raw/erase.c src/raw/erase.h \
	src/raw/holder.c src/raw/holder.h \
	src/raw/discard.c src/raw/discard.h \
	src/raw/ec.c src/raw/ec.h \
	src/raw/format.c src/raw/format.h \
	src/raw/geom.c src/raw/geom.h \
	src/raw/index.c src/raw/index.h src/raw/index_int.h \
	src/raw/index_edit.c \
	src/raw/index_page.c \
	src/raw/life.c \
	src/raw/log.c src/raw/log.h \
	src/raw/logread.c src/raw/logread.h \
	src/raw/look.c src/raw/look.h \
	src/raw/make.c src/raw/make.h \
	src/raw/move.c \
	src/raw/move.h \
	src/raw/member.c src/raw/member.h \
	src/raw/object.c \
	src/raw/open.c src/raw/open.h \
	src/raw/pool.c src/raw/pool.h src/raw/pool_int.h \
	src/raw/rdev.c src/raw/rdev.h \
	src/raw/rdev_file.c \
	src/raw/ckpt.c src/raw/ckpt.h \
	src/raw/read.c src/raw/read.h \
	src/raw/recover.c src/raw/recover.h \
	src/raw/replay.c \
	src/raw/root.c \
	src/raw/flight.c src/raw/flight.h \
	src/raw/quorum.c src/raw/quorum.h \
	src/raw/rebuild.c src/raw/rebuild.h src/raw/rebuild_int.h \
	src/raw/rebuild_state.c \
	src/raw/repair.c src/raw/repair.h \
	src/raw/super.c \
	src/raw/xio_read.c \
	src/raw/status.c \
	src/raw/scrub.c src/raw/scrub.h \
	src/raw/silent.c src/raw/silent.h \
	src/raw/tail.c src/raw/tail.h \
	src/raw/write.c src/raw/write.h \
	src/raw/xio.c src/raw/xio.h
