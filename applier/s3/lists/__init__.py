"""Reads S3's lists of objects: of a whole bucket, of one object's versions, and of what a run asks for next."""
