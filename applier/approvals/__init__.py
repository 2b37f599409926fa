"""Who has approved a plan: signatures of people over its digest, made and checked by OpenSSH."""
