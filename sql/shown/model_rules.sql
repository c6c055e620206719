SELECT rule, value, limit_value, champion_value, passed, note FROM tsad.v_model_decision WHERE dataset = '$dataset' AND version = $version ORDER BY passed, stage, rule
