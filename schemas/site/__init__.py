"""What a site's YAML says: where it restores to, its S3, and what it sets for everybody."""
