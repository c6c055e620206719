-- The tag historian of Ignition.
SELECT 'Ignition' WHERE to_regclass('sqlth_te') IS NOT NULL AND to_regclass('sqlth_partitions') IS NOT NULL
