libpail_la_SOURCES +=
