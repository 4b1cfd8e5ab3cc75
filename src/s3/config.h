/* SPDX-License-Identifier: Apache-2.0 */
#ifndef S3_CONFIG_H
#define S3_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * How to reach a bucket.  A configuration is made of three layers, the later
 * ones first in rank: defaults (s3_config_init), settings (the command line
 * and files, by s3_config_set), parameters of the URL (the same, on a copy).
 * What is still unset when a store is opened comes from the environment and
 * from the AWS files (s3/cred.h), and then from what is said at each field.
 *
 * Plain data; texts are owned by the struct.
 */
struct err;

enum s3_style {
	S3_STYLE_AUTO, /* host for AWS and bucket names that can be a label of
			  a host name, else path */
	S3_STYLE_PATH, /* http://HOST/BUCKET/KEY */
	S3_STYLE_HOST  /* http://BUCKET.HOST/KEY */
};

enum s3_payload {
	S3_PAYLOAD_AUTO,   /* unsigned over TLS, else signed */
	S3_PAYLOAD_SIGNED, /* SHA-256 of each body in the signature */
	S3_PAYLOAD_UNSIGNED
};

enum s3_auth {
	S3_AUTH_V4,
	S3_AUTH_V2 /* refused when a store is opened, with the reason */
};

enum s3_list_version {
	S3_LIST_AUTO, /* version 2, and 1 for a server that does not know it */
	S3_LIST_V1,
	S3_LIST_V2
};

enum s3_tristate { S3_AUTO, S3_YES, S3_NO };

enum s3_cred_source {
	S3_CRED_AUTO,	     /* the first of those below that has some */
	S3_CRED_STATIC,	     /* access_id and access_key, as set here */
	S3_CRED_ACCESS_FILE, /* access_file */
	S3_CRED_ENV,	     /* AWS_ACCESS_KEY_ID ... */
	S3_CRED_WEB,	     /* AWS_WEB_IDENTITY_TOKEN_FILE ... */
	S3_CRED_PROFILE,     /* ~/.aws/credentials and config */
	S3_CRED_CONTAINER,   /* AWS_CONTAINER_CREDENTIALS_..._URI */
	S3_CRED_IMDS,	     /* the role of this EC2 machine */
	S3_CRED_ANONYMOUS    /* none: requests are not signed */
};

struct s3_config {
	/* Where. */
	char *endpoint; /* http[s]://HOST[:PORT][/PATH]; NULL: AWS_ENDPOINT_URL_S3,
			   AWS_ENDPOINT_URL, or AWS in the region, by https */
	char *region;	/* NULL: AWS_REGION, AWS_DEFAULT_REGION, the profile's,
			   us-east-1 */
	enum s3_style style;

	/* Who. */
	enum s3_cred_source credentials;
	char *profile;	     /* NULL: AWS_PROFILE, or "default" */
	char *access_id;     /* NULL: from the source; "": anonymous */
	char *access_key;    /* secret; never logged */
	char *session_token; /* secret */
	char *access_file;   /* s3backer's: lines "ID:KEY" */
	char *iam_role;	     /* with imds; NULL: the machine's only one */
	bool imds_v1;	     /* ask the metadata service without a token */
	enum s3_auth auth;
	enum s3_payload payload;

	/* The connection. */
	char *cacert;	/* file of trusted authorities; NULL: the system's */
	bool insecure;	/* do not verify certificates */
	bool http2;	/* allow HTTP/2; else HTTP/1.1 */
	bool no_reuse;	/* a new connection for each request */
	bool debug_http; /* libcurl's account on standard error */
	char *user_agent;
	unsigned ip_tos;	  /* 0: the system's */
	unsigned max_connections; /* 0: 256 */
	int64_t connect_timeout_ns; /* 0: 4 s */
	int64_t stall_timeout_ns;   /* 0: 10 s of silence */
	int64_t request_timeout_ns; /* 0: 30 s */
	uint64_t max_upload_rate;   /* bytes per second in total; 0: no limit */
	uint64_t max_download_rate;

	/* What objects get. */
	char *acl;	     /* x-amz-acl; NULL: not sent */
	char *storage_class; /* x-amz-storage-class */
	char *sse;	     /* x-amz-server-side-encryption: AES256, aws:kms */
	char *sse_key_id;    /* of aws:kms */
	/* The encoding of objects without that header, for providers that
	 * drop it; NULL: none. */
	char *default_content_encoding;

	/* What the server can do; auto finds out. */
	enum s3_list_version listing;
	enum s3_tristate if_absent; /* PUT with If-None-Match: * */
};

void s3_config_init(struct s3_config *c);
void s3_config_fini(struct s3_config *c);
/* to is uninitialised before; finished already when this fails. */
int s3_config_copy(struct s3_config *to, const struct s3_config *from);

/*
 * Set one value by its name ("region", "max-connections" ...).  value may be
 * NULL for switches (true).  -EINVAL with a sentence: the name is unknown (the
 * sentence lists the known ones) or the value is not of its kind.
 */
int s3_config_set(struct s3_config *c, const char *name, const char *value,
    struct err *e);

/* The i-th name, and one line about it; NULL: no more. */
const char *s3_config_name(unsigned i, const char **what, const char **value);

#endif
