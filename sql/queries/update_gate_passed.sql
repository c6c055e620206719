-- The gate's verdict on a model; a verdict once given stays.
UPDATE tsad.model SET gate_passed = %(gate_passed)s WHERE model_id = %(model_id)s AND gate_passed IS NULL
