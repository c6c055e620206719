SELECT * FROM tsad.v_training_decision WHERE dataset = '$dataset' ORDER BY decided_at DESC
