libpail_la_SOURCES += \
	src/front/control.c src/front/control.h \
	src/front/ending.c src/front/ending.h \
	src/front/fuse.c src/front/fuse.h src/front/fuse_int.h \
	src/front/fuse_io.c src/front/fuse_note.c \
	src/front/fuse_ops.c src/front/fuse_rx.c \
	src/front/guard.c src/front/guard.h \
	src/front/hold.c src/front/hold.h \
	src/front/holder.c src/front/holder.h src/front/holder_int.h \
	src/front/holder_new.c src/front/holder_upgrade.c \
	src/front/kept.c src/front/kept.h \
	src/front/ledger.c src/front/ledger.h \
	src/front/mounts.c src/front/mounts.h \
	src/front/serve.c src/front/serve.h src/front/serve_int.h \
	src/front/serve_hold.c \
	src/front/status.c src/front/status.h \
	src/front/storecmd.c src/front/storecmd.h \
	src/front/storedoor.c src/front/storedoor.h \
	src/front/successor.c src/front/successor.h \
	src/front/wire.c src/front/wire.h
