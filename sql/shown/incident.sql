SELECT * FROM tsad.v_incident WHERE incident_id = '$incident'
