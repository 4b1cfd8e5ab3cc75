# One page per verb, and the helpers of mount(8).  tests/unit/cli/manual holds
# them to what --help says.
dist_man_MANS += man/pail.1 man/pail-check.1 man/pail-copy.1 \
	man/pail-create.1 man/pail-erase.1 man/pail-info.1 \
	man/pail-journal.1 man/pail-list.1 \
	man/pail-mount.1 man/pail-resize.1 man/pail-s3backer.1 \
	man/pail-stats.1 man/pail-store.1 man/pail-sync.1 man/pail-unlock.1 \
	man/pail-unmount.1 man/pail-upgrade.1 man/pail-version.1 man/mount.pail.8 \
	man/umount.fuse.pail.8
