-- Attributions of flagged readings.
INSERT INTO tsad.attribution (entity_id, at, model_id, channel_id, share, actual, expected, spread, step_shares)
SELECT entity_id, at, model_id, channel_id, share, nullif(actual, 'NaN'), nullif(expected, 'NaN'), nullif(spread, 'NaN'), step_shares
FROM incoming_attribution
