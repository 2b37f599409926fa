"""The file system below the output location: folders, staged files, hashing, final names. Sends no request."""
