-- How series were scaled first whose scale or offset has been changed since.
SELECT source, series, entity, channel, measures FROM tsad.series_scale WHERE dataset_id = %(dataset_id)s
