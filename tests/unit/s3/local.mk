# unit tests of src/s3
