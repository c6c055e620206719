-- The newest migration that was run.
SELECT version_num::text FROM tsad_version
