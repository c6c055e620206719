-- Attributions of flagged readings.
INSERT INTO tsad.attribution (entity_id, at, model_id, channel_id, share, actual, expected, spread)
SELECT entity_id, at, model_id, channel_id, share, nullif(actual, 'NaN'), nullif(expected, 'NaN'), nullif(spread, 'NaN')
FROM incoming_attribution
