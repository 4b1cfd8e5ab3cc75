/* SPDX-License-Identifier: Apache-2.0 */
/*
 * curlerr.c: libcurl's codes as negative errnos and sentences.
 *
 * What matters to those above: could anything have been done by the server
 * (no, if no connection was made), and may asking again help.  The sentence
 * names the host and says what a person can do.
 */
#include <errno.h>
#include <string.h>

#include "http/internal.h"

void
http_url_host(const char *url, char *out, size_t cap)
{
	const char *p = strstr(url, "://");
	size_t n;

	p = p ? p + 3 : url;
	n = strcspn(p, "/?#");
	if (n >= cap)
		n = cap - 1;
	memcpy(out, p, n);
	out[n] = '\0';
}

static bool
connected(const struct http_xfer *x)
{
	curl_off_t us = 0;

	curl_easy_getinfo(x->easy, CURLINFO_CONNECT_TIME_T, &us);
	return us > 0;
}

static int
no_connection(const struct http_xfer *x, const char *host, struct err *e)
{
	long os = 0;

	curl_easy_getinfo(x->easy, CURLINFO_OS_ERRNO, &os);
	if (os == ECONNREFUSED)
		return err_set(e, -ECONNREFUSED,
		    "nobody listens at %s (connection refused)", host);
	return err_set(e, -EHOSTUNREACH, "cannot connect to %s: %s", host,
	    os > 0 ? strerror((int)os) : x->error);
}

static int
timed_out(const struct http_xfer *x, const char *host, struct err *e)
{
	if (!connected(x))
		return err_set(e, -EHOSTUNREACH,
		    "%s does not answer: no connection in time", host);
	return err_set(e, -ETIMEDOUT, "%s: %s", host, x->error);
}

int
http_curl_error(const struct http_xfer *x, CURLcode code, struct err *e)
{
	const char *why = x->error[0] ? x->error : curl_easy_strerror(code);
	const struct http_conf *k = &x->http->conf;
	char host[128];

	http_url_host(x->req->url, host, sizeof(host));
	switch (code) {
	case CURLE_COULDNT_RESOLVE_HOST:
		return err_set(e, -EHOSTUNREACH,
		    "the host %s is unknown: check the endpoint, and that "
		    "this machine can look up names", host);
	case CURLE_COULDNT_RESOLVE_PROXY:
		return err_set(e, -EHOSTUNREACH,
		    "the proxy that the environment names is unknown: %s",
		    why);
	case CURLE_COULDNT_CONNECT:
		return no_connection(x, host, e);
	case CURLE_OPERATION_TIMEDOUT:
		return timed_out(x, host, e);
	case CURLE_PEER_FAILED_VERIFICATION:
		return err_set(e, -EKEYREJECTED,
		    "the certificate of %s is not trusted: %s (name the file "
		    "of its authority as cacert, now %s)",
		    host, why, k->ca_file ? k->ca_file : "the system's");
	case CURLE_SSL_CACERT_BADFILE:
		return err_set(e, -EINVAL,
		    "the CA file %s cannot be used: %s",
		    k->ca_file ? k->ca_file : "(the system's)", why);
	case CURLE_SSL_CONNECT_ERROR:
		return err_set(e, -EPROTO,
		    "TLS with %s failed: %s", host, why);
	case CURLE_SEND_ERROR:
	case CURLE_RECV_ERROR:
	case CURLE_GOT_NOTHING:
	case CURLE_SEND_FAIL_REWIND:
	case CURLE_HTTP2:
	case CURLE_HTTP2_STREAM:
		return err_set(e, -EPIPE, "the connection to %s broke: %s",
		    host, why);
	case CURLE_PARTIAL_FILE:
		return err_set(e, -EPIPE,
		    "the connection to %s broke inside an answer: %s", host,
		    why);
	case CURLE_OUT_OF_MEMORY:
		/* libcurl calls its own limit of a header line so. */
		if (x->req->answer.status && !x->req->answer.complete)
			return err_set(e, -EBADMSG,
			    "%s sent a header of more than 100 kB (or there "
			    "is no memory)", host);
		return err_errno(e, -ENOMEM, "request to %s", host);
	case CURLE_UNSUPPORTED_PROTOCOL:
		if (connected(x)) /* libcurl calls HTTP/0.9 so */
			return err_set(e, -EBADMSG,
			    "%s does not answer as an HTTP server: %s", host,
			    why);
		/* fallthrough */
	case CURLE_URL_MALFORMAT:
		return err_set(e, -EINVAL,
		    "the URL %s is not an http or https URL: %s",
		    x->req->url, why);
	case CURLE_WEIRD_SERVER_REPLY:
	case CURLE_BAD_CONTENT_ENCODING:
		return err_set(e, -EBADMSG,
		    "%s does not answer as an HTTP server: %s", host, why);
	default:
		return err_set(e, -EIO, "request to %s: %s", host, why);
	}
}
