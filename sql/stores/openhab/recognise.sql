-- openHAB's JDBC persistence, which keeps a table for each item.
SELECT 'openHAB' WHERE to_regclass('items') IS NOT NULL AND EXISTS (
  SELECT FROM information_schema.columns WHERE table_name = 'items' AND column_name = 'itemname'
)
