-- The dataset that a layout belongs to.
SELECT dataset_id FROM tsad.layout WHERE layout_id = %(layout_id)s
