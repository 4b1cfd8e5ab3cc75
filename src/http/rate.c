/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rate.c: limits on the bytes moved in a second.
 *
 * They are kept by letting whole requests start: each takes its size from a
 * credit that grows with time and may fall below zero, so the total is exact
 * over time, and there is no pacing inside a body.  Downloads are charged for
 * the room they have, and what did not come is given back.
 */
#include "config.h"

#include "base/clock.h"
#include "http/internal.h"

#define BURST_S 0.25 /* seconds of credit that may be saved up */

static void
credit_grow(struct http *h)
{
	int64_t now = loop_now(h->loop);
	double s = (double)(now - h->credit_ns) / NS_PER_S;
	double up = (double)h->conf.max_upload_rate;
	double down = (double)h->conf.max_download_rate;

	h->credit_ns = now;
	h->up_credit += s * up;
	if (h->up_credit > up * BURST_S)
		h->up_credit = up * BURST_S;
	h->down_credit += s * down;
	if (h->down_credit > down * BURST_S)
		h->down_credit = down * BURST_S;
}

int64_t
http_credit_wait(struct http *h, const struct http_req *r)
{
	const struct http_conf *k = &h->conf;
	double s = 0, t;

	if (!k->max_upload_rate && !k->max_download_rate)
		return 0;
	credit_grow(h);
	if (k->max_upload_rate && r->send_len && h->up_credit < 0)
		s = -h->up_credit / (double)k->max_upload_rate;
	if (k->max_download_rate && r->recv && h->down_credit < 0) {
		t = -h->down_credit / (double)k->max_download_rate;
		s = t > s ? t : s;
	}
	return s > 0 ? (int64_t)(s * NS_PER_S) + NS_PER_MS : 0;
}

void
http_credit_charge(struct http *h, const struct http_req *r)
{
	h->up_credit -= (double)r->send_len;
	if (r->recv)
		h->down_credit -= (double)r->recv_cap;
}

void
http_credit_give_back(struct http *h, const struct http_req *r)
{
	if (r->recv)
		h->down_credit += (double)(r->recv_cap - r->recv_len);
}
