-- The digest of the views and functions that are in place; no row before there was such a note.
SELECT digest FROM tsad.public_sql
