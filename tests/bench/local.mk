# The bench's own tools; tests/integration uses delayproxy as well.  Not
# installed.  See docs/testing.md.
noinst_PROGRAMS += tests/bench/delayproxy tests/bench/loader \
	tests/bench/nullfuse tests/bench/loopbench

tests_bench_delayproxy_SOURCES = tests/bench/delayproxy.c

tests_bench_loader_SOURCES = tests/bench/loader.c
tests_bench_loader_LDADD = $(CURL_LIBS) $(CRYPTO_LIBS)

tests_bench_nullfuse_SOURCES = tests/bench/nullfuse.c
tests_bench_nullfuse_LDADD = $(FUSE_LIBS)

noinst_PROGRAMS += tests/bench/storeload
tests_bench_storeload_SOURCES = tests/bench/storeload.c
tests_bench_storeload_LDADD = libpail.la

noinst_PROGRAMS += tests/bench/rawbench
tests_bench_rawbench_SOURCES = tests/bench/rawbench.c
tests_bench_rawbench_LDADD = libpail.la

tests_bench_loopbench_SOURCES = tests/bench/loopbench.c
tests_bench_loopbench_LDADD = libpail.la

noinst_PROGRAMS += tests/bench/cachebench
tests_bench_cachebench_SOURCES = tests/bench/cachebench.c
tests_bench_cachebench_LDADD = libpail.la
