-- The newest migration that was run.
SELECT version_num FROM tsad_version
