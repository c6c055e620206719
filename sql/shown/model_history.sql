SELECT * FROM tsad.v_model_history WHERE dataset = '$dataset' ORDER BY decided_at DESC
