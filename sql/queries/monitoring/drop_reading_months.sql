-- Retention: drops whole months of readings that every dataset has retired.
SELECT m.name FROM (SELECT min(retired_before) AS at FROM tsad.dataset) h, tsad.drop_partitions_before('reading_block', h.at) AS m(name)
