SELECT entity, state, silent_since, carrier FROM tsad.v_entity WHERE dataset = '$dataset' AND state = 'silent' ORDER BY silent_since DESC
