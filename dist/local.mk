# What is installed beside the program: the unit template, the completion, the
# helper of mount(8); and what only goes into the tarball.
EXTRA_DIST += dist/pail@.service.in dist/pail.bash dist/example.conf docs \
	debian/changelog debian/control debian/copyright debian/pail.docs \
	debian/pail.lintian-overrides \
	debian/pail.examples debian/rules debian/source/format

# The tests that are scripts: whole folders, so that none is forgotten.
EXTRA_DIST += .ci tests/integration tests/lib tests/lint tests/servers \
	tests/bench/run tests/install-deps tests/quickstart tests/run

unitdir = $(systemdsystemunitdir)
nodist_unit_DATA = dist/pail@.service
CLEANFILES += dist/pail@.service

dist/pail@.service: $(srcdir)/dist/pail@.service.in Makefile
	$(AM_V_GEN)$(MKDIR_P) dist && sed -e 's,[@]bindir[@],$(bindir),g' \
	    -e 's,[@]sysconfdir[@],$(sysconfdir),g' \
	    '$(srcdir)/dist/pail@.service.in' >'$@.tmp' && mv '$@.tmp' '$@'

# mount(8) calls /sbin/mount.pail for "mount -t pail" and for fstab, umount(8)
# /sbin/umount.fuse.pail, which waits until everything is written.
install-exec-hook:
	$(MKDIR_P) "$(DESTDIR)$(mountdir)"
	cd "$(DESTDIR)$(mountdir)" && rm -f mount.pail umount.fuse.pail && \
	    $(LN_S) "$(bindir)/pail" mount.pail && \
	    $(LN_S) "$(bindir)/pail" umount.fuse.pail

# The completion's file has the name of the command.
install-data-local:
	$(MKDIR_P) "$(DESTDIR)$(bashcompletiondir)"
	$(INSTALL_DATA) "$(srcdir)/dist/pail.bash" \
	    "$(DESTDIR)$(bashcompletiondir)/pail"

uninstall-local:
	rm -f "$(DESTDIR)$(mountdir)/mount.pail" \
	    "$(DESTDIR)$(mountdir)/umount.fuse.pail" \
	    "$(DESTDIR)$(bashcompletiondir)/pail"
